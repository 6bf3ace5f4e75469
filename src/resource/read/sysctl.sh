# $1: the key, with dots between its parts; $2: its file below /proc/sys.
if [ -e "$2" ]; then
	v=$(cat "$2") || exit
	printf 'now=%s\n' "$(printf %s "$v" | tr '\n' ' ')"
fi
# sysctl.d(5): of files with one name the first directory's counts; the last file that sets a key wins.
for d in /etc /run /usr/local/lib /usr/lib; do
	for f in "$d"/sysctl.d/*.conf; do
		if [ -e "$f" ]; then printf '%s\n' "$f"; fi
	done
done | awk -v key="$1" '
{ name = $0; sub(/.*\//, "", name); if (!(name in file)) { file[name] = $0; order[++n] = name } }
END {
	for (i = 2; i <= n; i++) for (j = i; j > 1 && order[j] < order[j - 1]; j--) { x = order[j]; order[j] = order[j - 1]; order[j - 1] = x }
	for (i = 1; i <= n; i++) {
		f = file[order[i]]
		while ((getline line < f) > 0) {
			if (line ~ /^[ \t]*[#;]/) continue
			at = index(line, "=")
			if (!at) continue
			k = substr(line, 1, at - 1); v = substr(line, at + 1)
			gsub(/^[ \t]*-?[ \t]*|[ \t]+$/, "", k); gsub(/^[ \t]+|[ \t]+$/, "", v)
			# sysctl.d(5): where the first separator is a slash, slashes stand for dots and dots for slashes.
			if (match(k, /[.\/]/) && substr(k, RSTART, 1) == "/") { gsub(/\./, "\001", k); gsub(/\//, ".", k); gsub(/\001/, "/", k) }
			if (k == key) { boot = v; by = f }
		}
		close(f)
	}
	if (by != "") { printf "boot=%s\n", boot; printf "file=%s\n", by }
}'
