# $1: the zone that is wanted. Never /etc/timezone: `timedatectl set-timezone` leaves it as it was.
z=$(timedatectl show -p Timezone --value 2>/dev/null)
if [ -z "$z" ]; then
	# localtime(5): without the link it is UTC.
	z=$(readlink /etc/localtime) || z=zoneinfo/UTC
	z=${z##*zoneinfo/}
fi
# Zones have several names: one with the same rules is the wanted one.
if [ -n "$1" ] && [ "$z" != "$1" ] && cmp -s "/usr/share/zoneinfo/$z" "/usr/share/zoneinfo/$1"; then z=$1; fi
printf 'zone=%s\n' "$z"
