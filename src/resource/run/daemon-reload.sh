# Units have come, changed or gone.
exec systemctl daemon-reload
