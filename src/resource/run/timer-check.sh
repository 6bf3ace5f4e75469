# $1: the program; $2: the user; $3: when, empty where it is an interval.
if ! [ -x "$1" ] || [ -d "$1" ]; then
	printf 'There is no program %s that can be run.\n' "$1" >&2
	exit 1
fi
id -- "$2" >/dev/null || exit
if [ -n "$3" ]; then systemd-analyze calendar "$3" >/dev/null || exit; fi
