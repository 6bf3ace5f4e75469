# $1: a timer. Fine where there is none.
if [ "$(systemctl show -p LoadState --value "$1")" = not-found ]; then exit 0; fi
systemctl disable --now "$1"
