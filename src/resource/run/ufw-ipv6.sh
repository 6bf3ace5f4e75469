# $1: yes or no. ufw has no word for it.
f=/etc/default/ufw
t=$(mktemp -p /etc/default .ufw.coxswain.XXXXXXXX) || exit
{ grep -v '^IPV6=' "$f"; printf 'IPV6=%s\n' "$1"; } >"$t" && chmod --reference="$f" "$t" && sync -- "$t" && mv -fT -- "$t" "$f" || {
	rm -f -- "$t"
	exit 1
}
if grep -qx 'ENABLED=yes' /etc/ufw/ufw.conf; then ufw reload; fi
