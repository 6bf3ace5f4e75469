# $1: the zone.
timedatectl set-timezone "$1" || exit
# Some daemons read this file, which timedatectl leaves as it was.
if [ -f /etc/timezone ] && [ ! -L /etc/timezone ]; then
	t=$(mktemp -p /etc .timezone.coxswain.XXXXXXXX) || exit
	printf '%s\n' "$1" >"$t" && chmod 0644 "$t" && sync "$t" && mv -fT "$t" /etc/timezone || { rm -f "$t"; exit 1; }
fi
