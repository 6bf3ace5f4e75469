# $1: the unit; $2: `again`, where what is mounted now is something else; $3: whether it is mounted at boot.
systemctl daemon-reload || exit
case $3 in yes) systemctl enable "$1" || exit ;; no) systemctl disable "$1" || exit ;; esac
case $2 in again) systemctl restart "$1" && exit 0 ;; start) systemctl start "$1" && exit 0 ;; stop) systemctl stop "$1" && exit 0 ;; *) exit 0 ;; esac
said=$(journalctl -q -o cat -u "$1" -n 12 2>/dev/null)
printf '%s\n' "$said" >&2
case $said in
*'access denied'*) echo 'The server does not export this to us: see its nfs_export, and that it means the address by which we come.' >&2 ;;
*'timed out'* | *'No route to host'* | *'Connection refused'*) echo 'The server does not answer at port 2049: see its firewall, and whether it runs.' >&2 ;;
*'No such file or directory'*) echo 'The server has no such directory.' >&2 ;;
*'busy'*) echo 'Who holds it:' >&2; timeout -k 1 10 fuser -vm "$(systemctl show -p Where --value "$1")" >&2 ;;
*'No such device'*) echo "This machine's kernel has no NFS." >&2 ;;
esac
exit 1
