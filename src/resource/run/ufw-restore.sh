# Puts back what ufw-save kept; where nothing was kept, nothing was changed.
d=${COXSWAIN_KEPT:?no guard is armed}/ufw
if [ ! -d "$d" ]; then exit 0; fi
put() {
	t=$(mktemp -p "${2%/*}" ".coxswain.XXXXXXXX") || return
	cat "$1" >"$t" && chmod --reference="$1" "$t" && chown --reference="$1" "$t" && sync -- "$t" && mv -fT -- "$t" "$2" || {
		rm -f -- "$t"
		return 1
	}
}
# First the kernel's tables: from here on nobody is kept out, whatever fails. ufw writes a file before it opens them,
# which a full disk forbids.
if ! ufw disable; then
	/lib/ufw/ufw-init force-stop
	for i in iptables ip6tables; do
		if command -v "$i" >/dev/null; then
			for c in INPUT OUTPUT; do "$i" -P "$c" ACCEPT; done
		fi
	done
fi
put "$d/default" /etc/default/ufw && put "$d/user.rules" /etc/ufw/user.rules && put "$d/user6.rules" /etc/ufw/user6.rules || exit
put "$d/ufw.conf" /etc/ufw/ufw.conf || exit
if [ -e "$d/loaded" ] && grep -qx 'ENABLED=yes' "$d/ufw.conf"; then ufw --force enable; fi
