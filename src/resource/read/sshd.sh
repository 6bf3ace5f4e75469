# How sshd is configured, what listens, and whether it runs with that configuration.
if ! command -v sshd >/dev/null; then printf 'sshd=no\n'; exit 0; fi
printf 'sshd=yes\n'
t=$(sshd -T -C user=root,host=localhost,addr=127.0.0.1 2>&1) || { printf '%s\n' "$t"; exit 1; }
printf '%s\n' "$t" | while read -r k v; do
	case $k in
	port | passwordauthentication | kbdinteractiveauthentication | challengeresponseauthentication | permitrootlogin | \
		x11forwarding | maxsessions | maxauthtries | maxstartups | clientaliveinterval | clientalivecountmax | \
		logingracetime | allowtcpforwarding | allowusers | allowgroups) printf '%s=%s\n' "$k" "$v" ;;
	esac
done
p=$(systemctl show -p MainPID --value ssh.service 2>/dev/null)
if [ "$(systemctl is-active ssh.socket 2>/dev/null)" = active ]; then
	printf 'socket=yes\n'
	systemctl show ssh.socket -p Listen --value | sed -n 's/^\(Listen=\)\{0,1\}.*:\([0-9][0-9]*\) (Stream)$/listen=\2/p'
else
	printf 'socket=no\n'
	ss -Hltnp 2>/dev/null | sed -n 's/^LISTEN  *[0-9]*  *[0-9]*  *[^ ]*:\([0-9]*\) .*"sshd",pid=.*$/listen=\1/p'
fi
# What was loaded last, noted by what loaded it; or a daemon that is younger than its files.
d=$(printf '%s\n' "$t" | sha256sum)
m=; if [ -r /run/coxswain-sshd ]; then read -r m </run/coxswain-sshd; fi
l=no
if [ "$m" = "${d%% *}" ]; then
	l=yes
elif [ -z "$p" ] || [ "$p" = 0 ]; then
	l=yes
elif [ -z "$m" ]; then
	# A reload counts as well as a start.
	s=$(systemctl show --value -p StateChangeTimestamp ssh.service 2>/dev/null)
	s=$(date -d "${s:-1970-01-01}" +%s 2>/dev/null) || s=0
	n=$(date +%s)
	l=yes
	for f in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
		x=$(stat -c %Y -- "$f" 2>/dev/null) || continue
		# A time that is still to come is of a clock that was wrong.
		if [ "$x" -gt "$s" ] && [ "$x" -le "$n" ]; then l=no; fi
	done
fi
printf 'loaded=%s\n' "$l"
