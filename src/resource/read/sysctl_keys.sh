# The settings in files of the administrator: those that no package brought, and sysctl.conf, in which every line that
# says something is somebody's own.
for f in /etc/sysctl.conf /etc/sysctl.d/*.conf; do
	if [ ! -f "$f" ] || [ -L "$f" ]; then continue; fi
	if [ "$f" != /etc/sysctl.conf ] && dpkg-query -S "$f" >/dev/null 2>&1; then continue; fi
	sed -n 's/^[ 	]*-\{0,1\}[ 	]*\([^#; 	=][^ 	=]*\)[ 	]*=.*$/key=\1/p' "$f" || exit
done
exit 0
