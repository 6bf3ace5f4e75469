# Puts back what sshd-apply kept; where nothing was kept, nothing was changed.
c=/etc/ssh/sshd_config
d=$c.d
k=${COXSWAIN_KEPT:?no guard is armed}/sshd
if [ ! -d "$k" ]; then exit 0; fi
put() {
	t=$(mktemp "${2%/*}/.coxswain.XXXXXXXX") || return
	cp -p -- "$1" "$t" && sync -- "$t" && mv -fT -- "$t" "$2" || { rm -f -- "$t"; return 1; }
}
echo pending >/run/coxswain-sshd
# As much as can be; that some of it could not is told at the end, so that the guard is kept.
e=0
put "$k/main" "$c" || e=1
for f in "$k"/d/*.conf; do if [ -e "$f" ]; then put "$f" "$d/${f##*/}" || e=1; fi; done
if [ ! -e "$k/d/10-coxswain.conf" ]; then rm -f -- "$d/10-coxswain.conf" || e=1; fi
mkdir -p /run/sshd
if [ "$(systemctl is-active ssh.socket)" = active ]; then
	systemctl daemon-reload && systemctl restart ssh.socket || e=1
	if [ "$(systemctl is-active ssh.service)" = active ]; then systemctl reload ssh.service || e=1; fi
else
	systemctl reload-or-restart ssh.service || e=1
fi
if [ "$e" != 0 ]; then exit 1; fi
t=$(sshd -T -C user=root,host=localhost,addr=127.0.0.1) || exit
s=$(printf '%s\n' "$t" | sha256sum)
printf '%s\n' "${s%% *}" >/run/coxswain-sshd
