# $1: the file, as /proc/swaps writes it; $2: the file; $3: its unit; $4: the unit's file.
while read -r f t s u p; do
	if [ "$f" = "$1" ]; then printf 'active=%s %s %s\n' "$t" "$s" "$p"; fi
done </proc/swaps
while read -r s t x || [ -n "$s" ]; do
	case $s in '#'*) continue ;; esac
	if [ "$s" = "$1" ]; then printf 'fstab=%s %s %s\n' "$s" "$t" "$x"; fi
done </etc/fstab
if [ -L "$2" ]; then
	printf 'file=link\n'
elif [ -e "$2" ]; then
	printf 'file='
	stat -c '%F:%s:%a:%u:%g' -- "$2" || exit
	# The last ten bytes of the first page say that it was made by mkswap.
	o=$(($(getconf PAGESIZE) - 10))
	case $(od -An -v -tx1 -j "$o" -N 10 -- "$2" 2>/dev/null | tr -d ' \n') in
	53574150535041434532) printf 'signature=yes\n' ;;
	*) printf 'signature=no\n' ;;
	esac
fi
if [ -f "$4" ]; then
	printf 'unit=yes\n'
	sed 's/^/text=/' "$4" || exit
else
	printf 'unit=no\n'
fi
case $(systemctl show -p UnitFileState --value "$3") in enabled) printf 'enabled=yes\n' ;; *) printf 'enabled=no\n' ;; esac
case $(systemctl show -p NeedDaemonReload --value "$3") in yes) printf 'stale=yes\n' ;; *) printf 'stale=no\n' ;; esac
