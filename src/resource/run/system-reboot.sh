# Reboots a moment later, so that this connection can still say that it was asked for.
exec systemd-run --quiet --collect --on-active=2 --timer-property=AccuracySec=100ms systemctl reboot
