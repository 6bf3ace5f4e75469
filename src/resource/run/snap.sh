# $@: words for snap. Its change goes on in snapd whatever becomes of this connection: it is started, then looked at.
# Where another change is in the way, that one is waited for; the step's own limit ends all waiting.
if ! command -v snap >/dev/null; then echo 'snapd is not installed; name it in a `packages`' >&2; exit 1; fi
wait='--no-wait'
case " $* " in
*' --hold'* | *' --unhold'*)
	# Holding is no change of its own, and was not there before snapd 2.58.
	wait=
	;;
esac
said=
while :; do
	if out=$(snap "$@" $wait 2>&1); then break; fi
	case $out in
	*'change in progress'* | *'in progress'*'try again'*)
		if [ "$out" != "$said" ]; then printf 'waiting: %s\n' "$out"; said=$out; fi
		sleep 5
		;;
	*'unknown flag'*hold*) printf 'this snapd (%s) cannot hold a snap: 2.58 or newer is needed\n' "$(snap version | sed -n 's/^snapd  *//p')" >&2; exit 1 ;;
	# Messages are wrapped; as one line they can be read and searched for.
	*) printf '%s\n' "$out" | tr '\n' ' ' | tr -s ' ' >&2; exit 1 ;;
	esac
done
id=$(printf '%s\n' "$out" | sed -n 's/^\([0-9][0-9]*\)$/\1/p' | tail -n 1)
if [ -z "$wait" ] || [ -z "$id" ]; then printf '%s\n' "$out"; exit 0; fi
last=
while :; do
	if command -v curl >/dev/null && [ -S /run/snapd.socket ]; then
		j=$(curl -sS --max-time 60 --unix-socket /run/snapd.socket "http://localhost/v2/changes/$id" 2>/dev/null)
		# snapd restarts itself in the middle of some changes: no answer is no end.
		case $j in
		*'"ready":true'*) break ;;
		esac
		now=$(printf '%s' "$j" | sed -n 's/.*"summary":"\([^"]*\)","status":"Doing".*/\1/p')
	else
		now=$(snap changes 2>/dev/null | sed -n "s/^$id  *\([A-Z][a-z]*\) .*/\1/p")
		case $now in Done | Error | Undone | Hold) break ;; esac
	fi
	if [ -n "$now" ] && [ "$now" != "$last" ]; then printf '%s\n' "$now"; last=$now; fi
	sleep 1
done
s=$(snap changes 2>/dev/null | sed -n "s/^$id  *\([A-Z][a-z]*\) .*/\1/p")
if [ "$s" = Done ]; then exit 0; fi
printf 'the change %s of snapd ended as %s: ' "$id" "${s:-unknown}" >&2
snap tasks "$id" 2>/dev/null | sed -n 's/^.* ERROR //p' | tr '\n' ' ' >&2
exit 1
