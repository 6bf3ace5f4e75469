# $1: the key; $2: the value.
exec sysctl -q -w "$1=$2"
