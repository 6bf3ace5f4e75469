# Keeps what ufw has written down, and whether the kernel has it, for ufw-restore. Whole or not at all: it is put in
# place by one rename.
d=${COXSWAIN_KEPT:?no guard is armed}/ufw
umask 077
rm -rf -- "$d.new" && mkdir "$d.new" || exit
cp -p /etc/default/ufw "$d.new/default" || exit
cp -p /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules "$d.new/" || exit
case $(iptables -S INPUT) in *'-j ufw-before-input'*) : >"$d.new/loaded" ;; esac
sync -- "$d.new"/* "$d.new" && mv -T -- "$d.new" "$d" && sync -- "$COXSWAIN_KEPT"
