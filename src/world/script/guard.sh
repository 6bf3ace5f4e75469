cx_slot() {
if [ "$(id -u)" = 0 ]; then G=/var/lib/coxswain/guard
elif [ -n "$HOME" ]; then G=$HOME/.local/state/coxswain/guard
else printf '%s\n' 'there is no home directory for a guard' >&2; return 1
fi
}
cx_locked() {
(
flock -w 20 8 || { printf '%s\n' 'another guard is being armed or taken back' >&2; exit 76; }
umask 077
"$@"
) 8>>"$G.lock"
}
cx_last() { printf '%s %s\n' "$(cat "$G/token")" "$1" >"$G.last"; }
cx_is_armed() { [ -e "$G/revert" ] || [ -e "$G/firing" ]; }
cx_arm() {
cx_slot && (umask 077; mkdir -p -- "${G%/*}" && : >>"$G.lock") && cx_locked cx_arm_it "$@"
}
cx_arm_it() {
if cx_is_armed; then
cx_resume_it || return 1
printf 'held %s %s' "$(cat "$G/after")" "$(cat "$G/who")"
return 0
fi
if [ -e "$G/failed" ]; then rm -rf -- "$G.failed" && mv -T -- "$G" "$G.failed" || return 1; fi
if [ -e "$G/fired" ]; then cx_last fired || return 1; fi
rm -rf -- "$G" "$G.new" && mkdir -- "$G.new" "$G.new/kept" || return 1
read -r x </proc/sys/kernel/random/uuid || return 1
printf '%s\n' "$x" >"$G.new/token" && printf '%s\n' "$1" >"$G.new/after" && printf '%s\n' "$2" >"$G.new/outer" &&
printf '%s\n' "$3" >"$G.new/who" && cx_wait >"$G.new/wait" && cx_fill >"$G.new/revert" && : >"$G.new/busy" && : >"$G.new/timer" &&
sync -- "$G.new"/* "$G.new" && mv -T -- "$G.new" "$G" || return 1
cx_syncdir "${G%/*}"
cx_count || { rm -f -- "$G/revert"; return 1; }
printf 'armed %s' "$x"
}
cx_resume() {
cx_slot || return 1
if [ -d "$G" ]; then cx_locked cx_resume_it; fi
}
cx_resume_it() { if cx_is_armed && flock -n "$G/timer" true; then cx_count; fi; }
cx_systemd() { [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
cx_count() {
if cx_systemd; then
umask 022
printf '%s\n' '[Unit]' 'Description=Takes back a change by coxswain that no new connection confirmed' \
'[Service]' "ExecStart=/bin/sh $G/wait" '[Install]' 'WantedBy=multi-user.target' >/etc/systemd/system/coxswain-guard.service &&
mkdir -p /etc/systemd/system/multi-user.target.wants &&
ln -sf ../coxswain-guard.service /etc/systemd/system/multi-user.target.wants/coxswain-guard.service || return 1
sync -- /etc/systemd/system/coxswain-guard.service /etc/systemd/system/multi-user.target.wants /etc/systemd/system
n=0
while [ "$n" -lt 20 ] && systemctl is-active -q coxswain-guard.service 8>&-; do n=$((n + 1)); sleep 0.1; done
systemctl daemon-reload 8>&- && systemctl restart coxswain-guard.service 8>&- || return 1
else
setsid sh "$G/wait" </dev/null >/dev/null 2>&1 8>&- 9>&- &
fi
n=0
while flock -n "$G/timer" true; do
n=$((n + 1))
if [ "$n" -gt 100 ]; then printf '%s\n' 'the guard does not begin to count' >&2; return 1; fi
sleep 0.1
done
}
cx_hold() {
cx_slot || return 1
if [ -d "$G" ]; then
exec 9>>"$G/busy"
if flock -w 20 9 && [ -e "$G/revert" ] && [ "$(cat "$G/token")" = "$1" ]; then
H=$1; COXSWAIN_KEPT=$G/kept; export COXSWAIN_KEPT
: >"$G/open"
return
fi
fi
printf '%s\n' 'its guard has fired, is gone, or has another step of it still running' >&2
return 1
}
cx_still() { [ -z "$H" ] || [ -e "$G/revert" ] || exit 0; }
cx_shut() { rm -f -- "$G/open"; }
cx_reverted() { : >"${COXSWAIN_KEPT%/*}/reverted"; }
cx_disarm() {
cx_slot || return 1
if [ "$(cat "$G/token" 2>/dev/null)" != "$1" ]; then
y= x=
if [ -r "$G.last" ]; then read -r y x <"$G.last"; fi
if [ "$y" = "$1" ]; then printf %s "$x"; else printf gone; fi
return 0
fi
if [ -z "$H" ]; then
flock -w 10 "$G/busy" true || { printf busy; return 0; }
if [ -e "$G/open" ] && [ -e "$G/revert" ]; then printf unfinished; return 0; fi
fi
r=0
cx_locked cx_disarm_it || r=$?
if [ "$r" = 76 ]; then printf busy; return 0; fi
return "$r"
}
cx_disarm_it() {
if mv -fT -- "$G/revert" "$G/disarmed" 2>/dev/null; then
cx_syncdir "$G"
fi
if [ -e "$G/disarmed" ]; then cx_last disarmed && cx_clear && printf disarmed
elif [ -e "$G/firing" ]; then printf firing
elif [ -e "$G/failed" ]; then printf failed
elif [ -e "$G/fired" ]; then cx_last fired && cx_clear && printf fired
else printf gone
fi
}
cx_clear() {
if cx_systemd; then
rm -f -- /etc/systemd/system/coxswain-guard.service /etc/systemd/system/multi-user.target.wants/coxswain-guard.service
fi
rm -rf -- "$G"
}
cx_wait() {
cat <<'E'
G=${0%/*}
trap "" HUP
exec 7>>"$G/timer"
flock -w 5 7 || exit 0
read -r t <"$G/token" && read -r after <"$G/after" && read -r outer <"$G/outer" || exit 1
mine() { [ "$(cat "$G/token" 2>/dev/null)" = "$t" ] && { [ -e "$G/revert" ] || [ -e "$G/firing" ]; }; }
n=0 all=0
while [ ! -e "$G/firing" ] && [ "$n" -lt "$after" ] && [ "$all" -lt "$outer" ]; do
sleep 1
mine || exit 0
n=$((n + 1)) all=$((all + 1))
flock -n "$G/busy" true || n=0
done
exec 8>>"$G.lock"
flock 8
mine || exit 0
if [ -e "$G/revert" ]; then mv -T -- "$G/revert" "$G/firing" || exit 1; fi
sync -- "$G"
exec 8>&-
flock -w 30 "$G/busy" true
COXSWAIN_KEPT=$G/kept
export COXSWAIN_KEPT
for wait in 0 10 10 30 30 60; do
sleep "$wait"
rm -f -- "$G/reverted"
sh <"$G/firing" >>"$G/log" 2>&1
if [ -e "$G/reverted" ]; then break; fi
done
if [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ]; then
rm -f -- /etc/systemd/system/coxswain-guard.service /etc/systemd/system/multi-user.target.wants/coxswain-guard.service
fi
if [ -e "$G/reverted" ]; then mv -T -- "$G/firing" "$G/fired"; else mv -T -- "$G/firing" "$G/failed"; fi
E
}
