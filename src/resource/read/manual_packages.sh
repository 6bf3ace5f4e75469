# The packages that somebody asked for, and those of the base system with all they depend on: who made the system may
# have asked for each of them.
if ! command -v apt-mark >/dev/null; then exit 0; fi
m=$(apt-mark showmanual 2>&1) || { printf '%s\n' "$m"; exit 1; }
if [ -n "$m" ]; then printf '%s\n' "$m" | sed 's/^/manual=/'; fi
dpkg-query -W -f='${Package}|${Priority} ${Essential}|${Pre-Depends},${Depends}\n' | awk '
{
	split($0, part, "|")
	name = part[1]; needs = substr($0, length(part[1]) + length(part[2]) + 3)
	gsub(/\([^)]*\)|:[a-z0-9]+/, "", needs); gsub(/[,| ]+/, " ", needs)
	depends[name] = depends[name] " " needs
	if (part[2] ~ /^(required|important|standard) | yes$/) { base[name] = 1; open[++last] = name }
}
END {
	for (at = 1; at <= last; at++) {
		n = split(depends[open[at]], word, " ")
		for (i = 1; i <= n; i++) if (word[i] in depends && !(word[i] in base)) { base[word[i]] = 1; open[++last] = word[i] }
	}
	for (name in base) printf "base=%s\n", name
}'
