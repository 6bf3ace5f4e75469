# $1: the file; $2: its unit; $3: the unit's file; $4: `remove` the file, `stop` using it, or `leave` it in use, as it was.
used() {
	while read -r f x; do if [ "$f" = "$1" ]; then return 0; fi; done </proc/swaps
	return 1
}
if [ -f "$3" ]; then systemctl disable "$2" || exit; fi
case $4 in
remove | stop)
	systemctl stop "$2" || :
	if used "$1" && ! swapoff -- "$1"; then
		echo 'What is in it has to go back into memory: see with `free` whether there is room.' >&2
		exit 1
	fi
	;;
leave) used "$1" || swapon -- "$1" || exit ;;
esac
case $4 in remove) rm -f -- "$1" || exit ;; esac
rm -f -- "$3" && systemctl daemon-reload || exit
systemctl reset-failed "$2" 2>/dev/null
exit 0
