# $1: a timer whose files have changed.
systemctl daemon-reload && systemctl enable "$1" && systemctl restart "$1"
