# A repository of apt: our file, our key, whether its lists are here, and who else names it.
# $1: its name; $2...: its addresses.
f=/etc/apt/sources.list.d/coxswain-$1.sources
k=/etc/apt/keyrings/coxswain-$1.asc
m=/var/lib/coxswain/apt/$1
shift
if [ -e "$f" ]; then
	printf 'file=yes\n'
	sed -n '/^[[:space:]]*\(#.*\)\{0,1\}$/!s/^/line=/p' "$f" || exit
else
	printf 'file=no\n'
fi
if [ -e "$k" ]; then sed 's/^/key=/' "$k" || exit; fi
# What was fetched last is noted by what fetched it.
d=$(cat "$f" "$k" 2>/dev/null | sha256sum)
x=; if [ -r "$m" ]; then read -r x <"$m"; fi
l=no
if [ "$x" = "${d%% *}" ]; then l=yes; fi
for u do
	n=$(printf '%s' "${u%/}" | sed -e 's,^[a-z+]*://,,' -e 's,^[a-z+]*:,,' -e 's,_,%5f,g' -e 's,/,_,g')
	y=no
	for p in /var/lib/apt/lists/"$n"_*; do if [ -e "$p" ]; then y=yes; fi; done
	# Of what is not enabled no lists are kept.
	if [ "$y" = no ] && ! grep -qix 'enabled:[[:space:]]*no' "$f" 2>/dev/null; then l=no; fi
	for p in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		if [ "$p" != "$f" ] && [ -e "$p" ] && grep -v '^[[:space:]]*#' "$p" | grep -qF -- "${u%/}"; then printf 'also=%s\n' "$p"; fi
	done
done
printf 'fetched=%s\n' "$l"
