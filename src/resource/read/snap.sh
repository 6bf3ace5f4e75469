# What snapd says of a snap. $1: its name.
if ! command -v snap >/dev/null; then printf 'snapd=no\n'; exit 0; fi
printf 'snapd=yes\n'
printf 'now=%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
printf 'version=%s\n' "$(snap version 2>/dev/null | sed -n 's/^snapd  *//p')"
if command -v curl >/dev/null && [ -S /run/snapd.socket ]; then
	j=$(curl -sS --max-time 60 --unix-socket /run/snapd.socket "http://localhost/v2/snaps/$1" 2>&1) || { printf '%s\n' "$j"; exit 1; }
	printf 'json=%s\n' "$(printf '%s' "$j" | tr '\n' ' ')"
	exit 0
fi
# Without curl: Name Version Rev Tracking Publisher Notes.
if t=$(snap list "$1" 2>&1); then
	printf '%s\n' "$t" | sed -n '2,$s/^/row=/p'
else
	case $t in
	*'no matching snaps installed'* | *'No snaps are installed'*) printf 'none=yes\n' ;;
	*) printf '%s\n' "$t"; exit 1 ;;
	esac
fi
