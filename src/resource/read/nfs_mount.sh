# $1: where, as /proc/mounts writes it; $2: the unit; $3: its file. Never the path itself: a server that is gone lets
# everything that touches it wait for ever.
while read -r s t f o x; do
	if [ "$t" = "$1" ]; then m="mounted=$s $f $o"; fi
done </proc/mounts
if [ -n "$m" ]; then printf '%s\n' "$m"; fi
while read -r s t x || [ -n "$s" ]; do
	case $s in '#'*) continue ;; esac
	if [ "${t%/}" = "$1" ]; then printf 'fstab=%s %s %s\n' "$s" "$t" "$x"; fi
done </etc/fstab
if [ -f "$3" ]; then
	printf 'unit=yes\n'
	sed 's/^/text=/' "$3" || exit
else
	printf 'unit=no\n'
fi
case $(systemctl show -p UnitFileState --value "$2") in enabled) printf 'enabled=yes\n' ;; *) printf 'enabled=no\n' ;; esac
case $(systemctl show -p NeedDaemonReload --value "$2") in yes) printf 'stale=yes\n' ;; *) printf 'stale=no\n' ;; esac
