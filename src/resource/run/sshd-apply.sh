# Writes our part of sshd's configuration, from standard input (nothing: takes it away), and has sshd read it.
# $1: `ports`, where only our part may name ports, or `none`, where others name them again.
c=/etc/ssh/sshd_config
d=$c.d
k=${COXSWAIN_KEPT:?no guard is armed}/sshd
listeners() {
	p=$(systemctl show -p MainPID --value ssh.service)
	ss -Hltnpe | sed -n 's/^.*"sshd",pid='"$p"',.* ino:\([0-9]*\) .*$/\1/p'
}
load() {
	if [ "$(systemctl is-active ssh.socket)" = active ]; then
		systemctl daemon-reload && systemctl restart ssh.socket || return
		if [ "$(systemctl is-active ssh.service)" = active ]; then systemctl reload ssh.service || return; fi
	else
		b=$(listeners)
		systemctl reload-or-restart ssh.service || return
		# A reload only sends the signal: sshd closes its sockets when it gets it, and opens others, one by one, as it
		# starts again. Whoever connects or looks before that finds the former configuration, or nobody.
		n=0 l=
		while a=$(listeners); [ -z "$a" ] || [ "$a" = "$b" ] || [ "$a" != "$l" ]; do
			l=$a
			n=$((n + 1))
			if [ "$n" -gt 100 ]; then echo 'sshd does not listen again within 10 s of its reload' >&2; return 1; fi
			sleep 0.1
		done
	fi
	t=$(sshd -T -C user=root,host=localhost,addr=127.0.0.1) || return
	s=$(printf '%s\n' "$t" | sha256sum)
	printf '%s\n' "${s%% *}" >/run/coxswain-sshd
}
# $1: what sed does to $2; a file that could not be written whole is never put in place.
edit() {
	t=$(mktemp "${2%/*}/.coxswain.XXXXXXXX") || return
	sed -E "$1" "$2" >"$t" && chmod --reference="$2" "$t" && chown --reference="$2" "$t" && sync -- "$t" && mv -fT -- "$t" "$2" || {
		rm -f -- "$t"
		return 1
	}
}
if ! grep -qiE '^[[:space:]]*include[[:space:]=].*sshd_config\.d/' "$c"; then
	echo "$c does not include the files in $d, where this is written: give it the line \`Include $d/*.conf\`" >&2
	exit 1
fi
# What was there, for sshd-restore; put in place by one rename.
umask 077
rm -rf -- "$k.new" && mkdir -p "$k.new/d" || exit
cp -p "$c" "$k.new/main" || exit
for f in "$d"/*.conf; do if [ -e "$f" ]; then cp -p "$f" "$k.new/d/" || exit; fi; done
sync -- "$k.new/main" "$k.new"/d/* "$k.new/d" "$k.new" 2>/dev/null
mv -T -- "$k.new" "$k" && sync -- "$COXSWAIN_KEPT" || exit
# A run that ends from here on, in whatever way, leaves an sshd that has not read its files.
m=; if [ -r /run/coxswain-sshd ]; then read -r m </run/coxswain-sshd; fi
echo pending >/run/coxswain-sshd || exit
# Ports add up over all files.
umask 022
mkdir -p "$d" /run/sshd
for f in "$c" "$d"/*.conf; do
	if [ ! -e "$f" ] || [ "$f" = "$d/10-coxswain.conf" ]; then continue; fi
	case $1 in
	ports) if grep -qiE '^[[:space:]]*port[[:space:]=]' "$f"; then edit 's/^([[:space:]]*[Pp][Oo][Rr][Tt][[:space:]=])/#coxswain# \1/' "$f" || exit; fi ;;
	none) if grep -q '^#coxswain# ' "$f"; then edit 's/^#coxswain# //' "$f" || exit; fi ;;
	esac
done
t=$(mktemp "$d/.coxswain.XXXXXXXX") || exit
cat >"$t" && chmod 0644 "$t" && sync -- "$t" || { rm -f -- "$t"; exit 1; }
if [ -s "$t" ]; then
	mv -fT -- "$t" "$d/10-coxswain.conf" || { rm -f -- "$t"; exit 1; }
else
	rm -f -- "$t" "$d/10-coxswain.conf"
fi
if ! sshd -t; then
	# Nothing has been read yet: what was there is put back at once.
	cp -p "$k/main" "$c"
	rm -f -- "$d/10-coxswain.conf"
	for f in "$k"/d/*.conf; do if [ -e "$f" ]; then cp -p "$f" "$d/"; fi; done
	if [ -n "$m" ]; then printf '%s\n' "$m" >/run/coxswain-sshd; else rm -f /run/coxswain-sshd; fi
	exit 1
fi
load
