DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
t=
trap 'if [ -n "$t" ]; then rm -f -- "$t"; fi' EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 141' PIPE; trap 'exit 143' TERM
cx_kind() {
if [ -L "$1" ]; then k=link; return; fi
if [ -f "$1" ]; then k=file; return; fi
if [ -d "$1" ]; then k=directory; return; fi
if x=$(stat -c %f -- "$1" 2>&1); then
case $x in 8???) k=file ;; 4???) k=directory ;; a???) k=link ;; *) k=other ;; esac
else
case $x in *': No such file or directory'|*': Not a directory') k=absent ;; *) printf '%s\n' "$x" >&2; return 1 ;; esac
fi
}
cx_sum() { s=$(sha256sum -- "$1") || return 1; s=${s#\\}; s=${s%% *}; }
cx_expect() {
if [ "$2" = any ]; then return 0; fi
cx_kind "$1" || return 1
cx_fits "$@"
}
cx_fits() {
if [ "$2" = any ]; then return 0; fi
case $k in
file)
cx_sum "$1" || return 1
if [ "$s" = "$2" ] || [ "$s" = "$3" ]; then return 0; fi
printf 'a file with SHA-256 %s' "$s" ;;
absent)
if [ "$2" = absent ]; then return 0; fi
printf 'nothing' ;;
directory) printf 'a directory' ;;
link) printf 'a symbolic link' ;;
*) printf 'not a regular file' ;;
esac
return 75
}
cx_perm() {
m=$2
if [ -n "$3$4" ]; then
if [ -z "$m" ]; then m=$(stat -c 00%a -- "$1") || return 1; fi
chown -- "$3${4:+:$4}" "$1" || return 1
fi
if [ -n "$m" ]; then chmod -- "$m" "$1" || return 1; fi
}
cx_sweep() {
for l in "$1"????????; do
if [ -e "$l" ] || [ -L "$l" ]; then rm -f -- "$l" || return 1; fi
done
}
cx_syncdir() { sync -- "$1" 2>/dev/null || :; }
cx_temporary() {
t=$1${N%"${N#????????}"}
umask 077; set -C
{ true >"$t"; } 2>/dev/null || t=$(mktemp -- "$1XXXXXXXX") || t=
set +C; umask 022
[ -n "$t" ]
}
cx_write() {
cx_kind "$1" || return 1
cx_fits "$1" "$7" "$8" || return
cx_sweep "$3" || return 1
m=$4; o=$5; g=$6
if [ "$k" = directory ]; then printf '%s\n' 'there is a directory' >&2; return 1; fi
if [ "$k" = file ]; then
x=$(stat -c '%a %u %g' -- "$1") || return 1
if [ -z "$m" ]; then m=00${x%% *}; fi
x=${x#* }
if [ -z "$o" ]; then o=${x%% *}; fi
if [ -z "$g" ]; then g=${x#* }; fi
fi
cx_temporary "$3" || return 1
cx_fill >"$t" || return 1
cx_sum "$t" || return 1
if [ "$s" != "$8" ]; then printf '%s\n' 'the content did not arrive whole' >&2; return 1; fi
cx_perm "$t" "${m:-00644}" "$o" "$g" || return 1
sync -- "$t" || return 1
cx_expect "$1" "$7" "$8" || return
mv -fT -- "$t" "$1" || return 1
t=
cx_syncdir "$2"
}
cx_mkdir() {
cx_kind "$1" || return 1
case $k in
absent)
case $3 in '') m=00755 ;; *) m=00700 ;; esac
mkdir -m "$m" -- "$1" || return 1
cx_perm "$1" "${3:-00755}" "$4" "$5" || return 1
cx_syncdir "$2" ;;
directory) cx_perm "$1" "$3" "$4" "$5" || return 1 ;;
*) printf '%s\n' 'something else than a directory is there' >&2; return 1 ;;
esac
}
cx_setperm() {
cx_kind "$1" || return 1
case $k in
absent) printf '%s\n' 'there is nothing' >&2; return 1 ;;
link) printf '%s\n' 'there is a symbolic link' >&2; return 1 ;;
esac
cx_perm "$1" "$2" "$3" "$4"
}
cx_remove() {
cx_sweep "$3" || return 1
cx_kind "$1" || return 1
if [ "$k" = absent ]; then return 0; fi
cx_fits "$1" "$4" '' || return
if [ "$k" = directory ]; then printf '%s\n' 'there is a directory' >&2; return 1; fi
rm -f -- "$1" || return 1
cx_syncdir "$2"
}
cx_rmdir() {
cx_kind "$1" || return 1
if [ "$k" = absent ]; then return 0; fi
rmdir -- "$1" || return 1
cx_syncdir "$2"
}
cx_store() {
if [ -z "$S" ]; then
if [ "$(id -u)" = 0 ]; then S=/var/lib/coxswain/kept
elif [ -n "$HOME" ]; then S=$HOME/.local/state/coxswain/kept
else printf '%s\n' 'there is no home directory for the store' >&2; return 1
fi
fi
}
cx_keep() {
cx_store || return 1
(umask 077; mkdir -p -- "$S") || return 1
f=$S/$2
if [ -f "$f" ]; then cx_sum "$f" || return 1; if [ "$s" = "$2" ]; then return 0; fi; fi
cx_expect "$1" "$2" '' || return
cx_sweep "$S/.$2.coxswain-" || return 1
cx_temporary "$S/.$2.coxswain-" || return 1
cat -- "$1" >"$t" || return 1
cx_sum "$t" || return 1
if [ "$s" != "$2" ]; then printf 'a file that is changing'; return 75; fi
sync -- "$t" || return 1
mv -fT -- "$t" "$f" || return 1
t=
cx_syncdir "$S"
}
cx_restore() {
cx_store || return 1
f=$S/$7
cx_fill() { cat -- "$f"; }
cx_write "$1" "$2" "$3" "$4" "$5" "$6" any "$7"
}
cx_unkept() { cx_store || return 1; cx_sweep "$S/.$1.coxswain-" && cx_sweep "$2"; }
cx_drop() { cx_store || return 1; rm -f -- "$S/$1"; }
