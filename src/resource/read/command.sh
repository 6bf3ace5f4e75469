# $1: a path that is there where it has been done, or nothing; $2: a script that succeeds where it has been done.
if [ -n "$1" ]; then
	if [ -e "$1" ] || [ -L "$1" ]; then printf 'done=yes\n'; else printf 'done=no\n'; fi
else
	printf '%s\n' "$2" | timeout -k 1 20 sh >/dev/null 2>&1
	case $? in 0) printf 'done=yes\n' ;; 124 | 137) printf 'it did not end in 20 s\n' ;; *) printf 'done=no\n' ;; esac
fi
