# The snaps there are, those that others are built on not among them.
if ! command -v snap >/dev/null; then exit 0; fi
# Name Version Rev Tracking Publisher Notes.
t=$(snap list 2>&1) || {
	case $t in *'No snaps are installed'*) exit 0 ;; esac
	printf '%s\n' "$t"
	exit 1
}
printf '%s\n' "$t" | awk '
/^Name  *Version/ { seen = 1; next }
!seen { next }
NF < 6 { print; next }
{
	n = "," $NF ","
	if (n ~ /,(base|core|snapd|os|gadget|kernel),/) next
	print "snap=" $1
}'
