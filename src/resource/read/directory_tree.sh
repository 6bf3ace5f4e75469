# $1: a directory; $2, $3: the owner and group of everything below, or nothing; $4, $5: modes of files and of
# directories below, or nothing. Prints the first that are otherwise. Other file systems are not entered, links not
# followed.
if [ ! -d "$1" ] || [ -L "$1" ]; then printf 'tree=yes\n'; exit 0; fi
case $2 in *[!0-9]*) getent passwd "$2" >/dev/null || { printf 'tree=no\nbad=there is no user %s yet\n' "$2"; exit 0; } ;; esac
case $3 in *[!0-9]*) getent group "$3" >/dev/null || { printf 'tree=no\nbad=there is no group %s yet\n' "$3"; exit 0; } ;; esac
d=$1 u=$2 g=$3 f=$4 m=$5
set -- -false
if [ -n "$u" ]; then set -- "$@" -o ! -user "$u"; fi
if [ -n "$g" ]; then set -- "$@" -o ! -group "$g"; fi
if [ -n "$f" ]; then set -- "$@" -o -type f ! -perm "$f"; fi
if [ -n "$m" ]; then set -- "$@" -o -type d ! -perm "$m"; fi
x=$(timeout -k 1 30 find "$d" -xdev -mindepth 1 \( "$@" \) -printf '%U:%G %m %p\0' 2>/dev/null | head -z -n 20 | tr '\n\0' '?\n')
if [ -z "$x" ]; then printf 'tree=yes\n'; exit 0; fi
printf 'tree=no\n'
printf '%s\n' "$x" | sed 's/^/bad=/'
