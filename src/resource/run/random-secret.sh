# $1: path, $2: encoding, $3: length of the file, $4: mode, $5: owner, $6: group (both may be empty), $7: `new`, or
# `over` where a file may be there. The secret is in the file alone: in no argument, variable or output.
t=
trap '[ -z "$t" ] || rm -f "$t"' EXIT
fail() { echo "$1" >&2; exit 1; }
umask 077
d=$(dirname "$1")
[ -d "$d" ] || fail "the directory $d is not there; declare it as a \`directory\`, or make it"
if [ "$7" = new ] && { [ -e "$1" ] || [ -L "$1" ]; }; then fail "$1 is there since the plan; plan again"; fi
t=$(mktemp -p "$d" .secret.coxswain.XXXXXXXX) || exit
[ -z "$5" ] || chown "$5" "$t" || exit
[ -z "$6" ] || chgrp "$6" "$t" || exit
chmod "$4" "$t" || exit
case $2 in
hex) head -c $((($3 + 1) / 2)) /dev/urandom | od -An -v -tx1 | tr -d ' \n' | head -c "$3" ;;
base64) head -c $(($3 / 4 * 3)) /dev/urandom | base64 -w0 ;;
alphanumeric) tr -dc A-Za-z0-9 </dev/urandom | head -c "$3" ;;
raw) head -c "$3" /dev/urandom ;;
*) fail "no encoding: $2" ;;
esac >"$t" || exit
# The status of a pipe is that of its last part.
n=$(stat -c %s "$t") || exit
[ "$n" = "$3" ] || fail "$n of $3 bytes could be written to $d; is the disk full?"
sync "$t" || exit
if [ "$7" = new ]; then
	# A link never replaces what somebody made meanwhile.
	ln -T "$t" "$1" || exit
else
	mv -fT "$t" "$1" || exit
	t=
fi
sync "$d"
