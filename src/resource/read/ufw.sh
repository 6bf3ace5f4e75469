# What ufw has written down, and whether the kernel has it. Never `ufw status`: it starts Python, and shows less.
if ! command -v ufw >/dev/null; then printf 'ufw=no\n'; exit 0; fi
printf 'ufw=yes\n'
# The files are root's; without them nothing can be said.
for f in /etc/default/ufw /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules; do
	if [ ! -r "$f" ]; then printf '%s cannot be read\n' "$f"; exit 1; fi
done
while IFS= read -r l || [ -n "$l" ]; do
	case $l in
	IPV6=* | DEFAULT_INPUT_POLICY=* | DEFAULT_OUTPUT_POLICY=* | DEFAULT_FORWARD_POLICY=*) printf '%s\n' "$l" ;;
	esac
done </etc/default/ufw
while IFS= read -r l || [ -n "$l" ]; do
	case $l in ENABLED=* | LOGLEVEL=*) printf '%s\n' "$l" ;; esac
done </etc/ufw/ufw.conf
x=$(iptables -S INPUT 2>/dev/null) || x=
case $x in *'-j ufw-before-input'*) printf 'kernel=yes\n' ;; *) printf 'kernel=no\n' ;; esac
x=$(iptables -S ufw-user-input 2>/dev/null) || x=
case $x in *'-A ufw-user-input'*) printf 'kernel_rules=yes\n' ;; *) printf 'kernel_rules=no\n' ;; esac
sed -n 's/^### tuple ### */rule4=/p' /etc/ufw/user.rules
sed -n 's/^### tuple ### */rule6=/p' /etc/ufw/user6.rules
# The interface by which we came: rules may name it.
set -- $SSH_CONNECTION
if [ -n "$3" ]; then
	x=$(ip -o addr show to "$3" 2>/dev/null) || x=
	x=${x#*: }
	printf 'interface=%s\n' "${x%%[@ ]*}"
fi
