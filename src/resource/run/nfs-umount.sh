# $1: the unit; $2: its file.
w=$(systemctl show -p Where --value "$1")
if ! systemctl disable --now "$1"; then
	echo 'It is in use by:' >&2
	timeout -k 1 10 fuser -vm "$w" >&2
	exit 1
fi
rm -f -- "$2" && systemctl daemon-reload
