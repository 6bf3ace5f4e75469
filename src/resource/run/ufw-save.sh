# Keeps what ufw has written down, and whether the kernel has it, for ufw-restore. Whole or not at all: it is put in
# place by one rename.
# $1: names the change it is kept for; what an earlier change has kept is not put back for this one.
umask 077
d=/var/lib/coxswain/ufw
mkdir -p /var/lib/coxswain && rm -rf -- "$d.new" && mkdir "$d.new" || exit
cp -p /etc/default/ufw "$d.new/default" || exit
cp -p /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules "$d.new/" || exit
case $(iptables -S INPUT) in *'-j ufw-before-input'*) : >"$d.new/loaded" ;; esac
printf '%s\n' "$1" >"$d.new/for" || exit
sync -- "$d.new"/* "$d.new" || exit
rm -rf -- "$d" && mv -T -- "$d.new" "$d"
