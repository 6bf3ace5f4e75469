# How chrony is configured, whether it runs with that configuration, and what it thinks of the time.
if ! command -v chronyd >/dev/null; then printf 'chrony=no\n'; exit 0; fi
c=/etc/chrony/chrony.conf
if [ ! -r "$c" ]; then printf '%s cannot be read\n' "$c"; exit 1; fi
printf 'chrony=yes\n'
v=$(chronyd -v 2>/dev/null); v=${v#*version }; v=${v%% *}
printf 'version=%s\n' "$v"
# Before 4.0 there is neither a way to print the configuration nor `sourcedir`.
case $v in [0-3].*) e=$(cat "$c") ;; *) e=$(chronyd -p 2>&1) ;; esac
code=$?
if [ "$code" = 0 ]; then
	printf 'valid=yes\n'
else
	printf 'valid=no\n'
	printf '%s\n' "$e" | sed -n 's/^.*Fatal error : /error=/p'
	e=$(cat "$c")
fi
printf '%s\n' "$e" | sed -nE 's/^[[:space:]]*(maxupdateskew|makestep)([[:space:]].*)?$/set=\L\1\E\2/Ip'
if grep -qiE '^[[:space:]]*sourcedir[[:space:]]+/etc/chrony/sources\.d[[:space:]]*$' "$c"; then printf 'sourcedir=yes\n'; else printf 'sourcedir=no\n'; fi
for f in "$c" /etc/chrony/conf.d/*.conf; do
	if [ ! -e "$f" ]; then continue; fi
	sed -nE -e '/^# Managed by coxswain: from here$/,/^# Managed by coxswain: to here$/d' \
		-e 's/^[[:space:]]*(pool|server|peer)[[:space:]]/default=\1 /Ip' -e 's/^#coxswain# [[:space:]]*(pool|server|peer)[[:space:]]/hidden=\1 /Ip' "$f"
done
sed -n '/^# Managed by coxswain: from here$/,/^# Managed by coxswain: to here$/p' "$c" | sed -nE 's/^(pool|server|peer)[[:space:]]/ours=\1 /Ip'
for f in /etc/chrony/sources.d/*.sources; do
	case $f in
	*/coxswain.sources) if [ -e "$f" ]; then sed -n '/^[[:space:]]*\([#!;%].*\)\{0,1\}$/!s/^[[:space:]]*/ours=/p' "$f"; fi ;;
	*) if [ -e "$f" ]; then printf 'other=%s\n' "$f"; fi ;;
	esac
done
# What was loaded last, noted by what loaded it; or a daemon that is younger than its files.
d=$(cat "$c" /etc/chrony/conf.d/*.conf /etc/chrony/sources.d/*.sources 2>/dev/null | sha256sum)
m=; if [ -r /run/coxswain-chrony ]; then read -r m </run/coxswain-chrony; fi
l=no
if [ "$(systemctl is-active chrony.service 2>/dev/null)" = active ]; then
	if [ "$m" = "${d%% *}" ]; then
		l=yes
	elif [ "$m" != pending ]; then
		s=$(systemctl show --value -p ExecMainStartTimestamp chrony.service 2>/dev/null)
		s=$(date -d "${s:-1970-01-01}" +%s) || s=0
		n=$(date +%s)
		l=yes
		for f in "$c" /etc/chrony/conf.d /etc/chrony/conf.d/*.conf /etc/chrony/sources.d /etc/chrony/sources.d/*.sources; do
			x=$(stat -c %Z -- "$f" 2>/dev/null) || continue
			# A time that is still to come is of a clock that was wrong.
			if [ "$x" -ge "$s" ] && [ "$x" -le "$n" ]; then l=no; fi
		done
	fi
fi
printf 'loaded=%s\n' "$l"
if x=$(chronyc -c -n tracking 2>/dev/null); then
	printf 'tracking=%s\n' "$x"
	chronyc -c -n sources 2>/dev/null | sed 's/^/source=/'
fi
exit 0
