# Keeps one state in a directory, for one client: reads requests, one line each, and answers each with the line
# `NONCE BASE64 CODE`. It holds the lock and does every write itself, so whoever lost it cannot write any more.
# $n: the nonce; $d: the directory. Codes: 0 done, 1 failed (the reason), 2 absent, 3 locked (by whom).
LC_ALL=C
export LC_ALL
umask 077
case $d in '~') d=$HOME ;; '~/'*) d=$HOME/${d#??} ;; esac
held='' dog=''
answer() { printf '%s ' "$n"; printf '%s' "$2" | base64 -w 0; printf ' %s\n' "$1"; }
# $1 bytes of standard input, whole even where they cannot be written, lest content be read as requests.
take() { [ "$1" = 0 ] || dd bs="$1" count=1 iflag=fullblock status=none >&8; }
pass_over() { command exec 8>/dev/null && take "$1"; }
directory() { mkdir -p -- "$1" && sync -- "${1%/*}/."; }
get() {
	if [ "$(stat -L -c %s -- "$d/$1" 2>/dev/null || echo 0)" -gt "$2" ]; then
		answer 1 'the file is larger than a state can be'
	elif [ -d "$d/$1" ]; then
		answer 1 'Is a directory'
	elif { command exec 8<"$d/$1"; } 2>/dev/null; then
		printf '%s ' "$n"
		base64 -w 0 <&8
		printf ' %s\n' $?
		exec 8<&-
	elif m=$(head -c 0 -- "$d/$1" 2>&1); then
		get "$1" "$2"
	else
		case $m in *'No such file or directory'*) answer 2 '' ;; *) answer 1 "$m" ;; esac
	fi
}
put() (
	f=$d/$1 t=$d/$1.tmp
	if [ -z "$held" ]; then echo 'the lock is not held'; pass_over "$2"; exit 1; fi
	case $1 in */*) directory "$d/${1%/*}" ;; esac && command exec 8>"$t" || { pass_over "$2"; exit 1; }
	if take "$2" && exec 8>&- && [ "$(stat -c %s -- "$t")" = "$2" ] && sync -- "$t" && mv -fT -- "$t" "$f"; then
		sync -- "${f%/*}"
	else
		rm -f -- "$t"
		exit 1
	fi
)
append() (
	f=$d/$1
	if [ -z "$held" ]; then echo 'the lock is not held'; pass_over "$3"; exit 1; fi
	s=$(stat -c %s -- "$f") || { pass_over "$3"; exit 1; }
	if [ "$s" -lt "$2" ]; then echo 'the file has become shorter'; pass_over "$3"; exit 1; fi
	if [ "$s" -gt "$2" ]; then truncate -s "$2" -- "$f" || { pass_over "$3"; exit 1; }; fi
	command exec 8>>"$f" || { pass_over "$3"; exit 1; }
	take "$3" && [ "$(stat -c %s -- "$f")" = $(($2 + $3)) ] && sync -- "$f"
)
drop() {
	if [ -z "$held" ]; then echo 'the lock is not held'; return 1; fi
	rm -f -- "$d/$1"
}
past() {
	if m=$(ls -1A -- "$d/history" 2>&1); then answer 0 "$m"; return; fi
	case $m in *'No such file or directory'*) answer 2 '' ;; *) answer 1 "$m" ;; esac
}
# A client that vanished without a word (its machine lost power) leaves this shell waiting for hours, with the lock.
# It must say `alive` more often than every $alive seconds.
watch() {
	if [ -n "$dog" ]; then kill "$dog" 2>/dev/null; fi
	(
		trap 'kill "$s"; exit' TERM
		sleep "$alive" &
		s=$!
		# The number may be another process's by then.
		if wait "$s" && [ "$(readlink "/proc/$$/fd/9")" = "$l" ]; then kill -KILL $$; fi
	) 9>&- 8>&- <&- >/dev/null 2>&1 &
	dog=$!
}
trap 'if [ -n "$dog" ]; then kill "$dog" 2>/dev/null; fi' EXIT
lock() {
	if ! m=$(directory "$d" 2>&1); then answer 1 "$m"; return; fi
	if ! { command exec 9<>"$d/lock"; } 2>/dev/null; then answer 1 "$( { command exec 9<>"$d/lock"; } 2>&1)"; return; fi
	m=$(flock -n -E 75 9 2>&1)
	case $? in
	0)
		held=1
		l=$(readlink /proc/$$/fd/9)
		watch
		answer 0 ''
		;;
	75) answer 3 "$(cat -- "$d/lock")"; exec 9>&- ;;
	*) answer 1 "$m"; exec 9>&- ;;
	esac
}
# Who holds the lock, for the message to others.
sign() (
	if [ -z "$held" ]; then echo 'the lock is not held'; pass_over "$1"; exit 1; fi
	command exec 8>"$d/lock" || { pass_over "$1"; exit 1; }
	take "$1"
)
unlock() {
	if [ -n "$held" ]; then
		{ : >"$d/lock"; } 2>/dev/null
		kill "$dog" 2>/dev/null
		held='' dog=''
	fi
	exec 9>&-
}
lacking=''
for p in base64 dd flock head ls mkdir mv readlink rm sleep stat sync truncate; do
	command -v "$p" >/dev/null || lacking="$lacking $p"
done
answer 0 "$lacking"
while IFS= read -r r; do
	set -f
	set -- $r
	set +f
	case $1 in
	get | lock | past) "$@" ;;
	put | append | drop | sign) m=$("$@" 2>&1); answer $? "$m" ;;
	unlock) unlock; answer 0 '' ;;
	alive) watch; answer 0 '' ;;
	*) exit 70 ;;
	esac
done
