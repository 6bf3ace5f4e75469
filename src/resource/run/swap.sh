# $1: the file; $2: its size in MiB; $3: `make` it, or `keep` it; $4: its unit; $5: whether at boot; $6: what becomes of
# its use: `start`, `stop`, `again`, `none`.
p=$1
used() {
	while read -r f x; do if [ "$f" = "$p" ]; then return 0; fi; done </proc/swaps
	return 1
}
off() {
	systemctl stop "$1" || :
	if ! used || swapoff -- "$p"; then return 0; fi
	echo 'What is in it has to go back into memory: see with `free` whether there is room.' >&2
	return 1
}
make() {
	d=$(dirname -- "$p")
	t=$p.coxswain-new
	k=$(stat -f -c %T -- "$d") || return
	case $k in
	ext2/ext3 | xfs) ;;
	*) printf '%s is on %s: swap files are made on ext4 and xfs only.\n' "$d" "$k" >&2; return 1 ;;
	esac
	free=$(df --output=avail -B1M -- "$d" | tail -n 1) || return
	if [ "$free" -le "$1" ]; then
		printf 'There are %s MiB left in %s, and the file needs %s.\n' "$((free))" "$d" "$1" >&2
		return 1
	fi
	rm -f -- "$t"
	(umask 077 && : >"$t") || return
	# xfs of older kernels takes no file with blocks that were never written.
	case $k in
	xfs) dd if=/dev/zero of="$t" bs=1M count="$1" conv=fsync status=none || return ;;
	*) fallocate -l "$1MiB" -- "$t" || return ;;
	esac
	chown 0:0 -- "$t" && mkswap -- "$t" >/dev/null && sync -- "$t" || return
	off "$2" && mv -f -- "$t" "$p" && sync -- "$d"
}
systemctl daemon-reload || exit
case $3 in
make) make "$2" "$4" || { c=$?; rm -f -- "$p.coxswain-new"; exit "$c"; } ;;
*) chown 0:0 -- "$p" && chmod 600 -- "$p" || exit ;;
esac
case $5 in yes) systemctl enable "$4" || exit ;; *) systemctl disable "$4" || exit ;; esac
case $6 in
none) exit 0 ;;
stop) off "$4"; exit ;;
again) off "$4" || exit ;;
esac
if systemctl start "$4" && used; then exit 0; fi
# Where systemd has not seen yet that it went out of use, a start does nothing.
if systemctl restart "$4" && used; then exit 0; fi
journalctl -q -o cat -u "$4" -n 12 >&2
exit 1
