# What apt would upgrade, as of the lists it has; whether dpkg was cut off; whether the running system is the old one.
# $1: the way of upgrading, `upgrade` or `dist-upgrade`; $2: whether packages that nothing needs would go.
printf 'now=%s\n' "$(date +%s)"
# Lists that were never fetched have no date.
l=0
for f in /var/lib/apt/lists/*_Packages* /var/lib/apt/lists/*_InRelease; do
	if [ -e "$f" ]; then
		for x in $(stat -c %Y /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp 2>/dev/null); do
			if [ "$x" -gt "$l" ]; then l=$x; fi
		done
		break
	fi
done
printf 'lists=%s\n' "$l"
dpkg-query -W -f='${db:Status-Abbrev}|${binary:Package}\n' 2>/dev/null | sed -n -e 's/^.[UFHWt].|/broken=/p' -e 's/^..R|/broken=/p'
# apt keeps what it made of dpkg's status, and takes it for valid while size and second of that file stay the same: two
# changes within one second, such as an upgrade and a downgrade, would be overlooked, also later. What it made of the
# lists, where the time goes, is still used.
o='-s -q -o Debug::NoLocking=true -o Dir::Cache::pkgcache='
u=$o
case $1 in upgrade) o="$o --with-new-pkgs" ;; esac
t=$(apt-get $o "$1" 2>&1) || { printf '%s\n' "$t"; exit 1; }
printf '%s\n' "$t" | sed -nE 's/^(Inst|Remv|Purg) /line=&/p'
printf '%s\n' "$t" | sed -nE '/(kept back|^Not upgrading):$/,/^[^ ].*[^:]$/{ s/^  +//; t split; d; :split; s/ +/\nkept=/g; s/^/kept=/; p; }'
case $2 in yes)
	t=$(apt-get $u autoremove 2>&1) || { printf '%s\n' "$t"; exit 1; }
	printf '%s\n' "$t" | sed -nE 's/^(Remv|Purg) ([^ ]+).*/unneeded=\2/p'
	;;
esac
# A container has no kernel of its own.
if [ -e /run/reboot-required ]; then
	x=$(sort -u /run/reboot-required.pkgs 2>/dev/null | tr '\n' ' ')
	printf 'needs=%s\n' "${x:-/run/reboot-required}"
fi
k=$(uname -r)
if ! systemd-detect-virt -q -c 2>/dev/null && [ -e "/lib/modules/$k" ]; then
	n=
	for f in $(ls -1v /boot/vmlinuz-* 2>/dev/null); do
		v=${f#/boot/vmlinuz-}
		# Of the same flavour: `generic`, `amd64`, `cloud-amd64`.
		if [ "${v##*[0-9]-}" = "${k##*[0-9]-}" ]; then n=$v; fi
	done
	if [ -n "$n" ] && [ "$n" != "$k" ]; then printf 'needs=kernel %s\n' "$n"; fi
fi
exit 0
