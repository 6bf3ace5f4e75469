# The packages that somebody asked for, and those that every system has.
if ! command -v apt-mark >/dev/null; then exit 0; fi
m=$(apt-mark showmanual 2>&1) || { printf '%s\n' "$m"; exit 1; }
if [ -n "$m" ]; then printf '%s\n' "$m" | sed 's/^/manual=/'; fi
dpkg-query -W -f='${Priority} ${Essential} ${Package}\n' | sed -n \
	-e 's/^\(required\|important\|standard\) [^ ]* /base=/p' -e 's/^[^ ]* yes /base=/p'
