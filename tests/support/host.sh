# Becomes a host of the laboratory: process 1 of its own process, mount, host name and network namespaces, in a
# root of its own over the machine's. Nothing is written to the machine. Called with bash: LAB-DIR HOST-DIR.
set -eu
lab=$1 dir=$2
name=$(cat "$dir/name") address=$(cat "$dir/address")

mkdir -p "$dir/mnt"
mount -t tmpfs -o size=512m,mode=755 lab "$dir/mnt"
mkdir "$dir/mnt/upper" "$dir/mnt/work" "$dir/mnt/root"
root=$dir/mnt/root
mount -t overlay -o "lowerdir=/,upperdir=$dir/mnt/upper,workdir=$dir/mnt/work" overlay "$root"

mkdir -p "$root/tmp" "$root/run" "$root/root" "$root/home" "$root/proc" "$root/sys" "$root/dev" "$root/srv"
mount -t tmpfs -o mode=1777 lab "$root/tmp"
mount -t tmpfs -o mode=755 lab "$root/run"
mount -t tmpfs -o mode=700 lab "$root/root"
mount -t tmpfs -o mode=755 lab "$root/home"
mount -t proc proc "$root/proc"
mount --bind "$dir/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -t sysfs -o ro sysfs "$root/sys"

mount -t tmpfs -o mode=755 lab "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 lab "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

mkdir -p "$root/run/sshd" "$root/run/lab" "$root/var/lib"
mount --bind "$dir" "$root/run/lab"
# What was written outside of the file systems of its own: a test looks for leftovers here.
mkdir "$root/run/upper"
mount --bind "$dir/mnt/upper" "$root/run/upper"
rm -rf "$root/var/lib/coxswain" "$root/etc/resolv.conf" "$root/etc/profile.d"
cp -a "$lab/etc/." "$root/etc/"
cp "$dir/machine-id" "$root/etc/machine-id"
echo "$name" >"$root/etc/hostname"
echo "$name" >"$root/proc/sys/kernel/hostname"
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >"$root/etc/hosts"
echo "This is $name." >"$root/etc/motd"
: >"$root/etc/resolv.conf"
while IFS=: read -r user _ uid gid _ home _; do
    case $home in /home/*) ;; *) continue ;; esac
    [ -e "$lab/users/$user" ] || continue
    cp -a "$lab/users/$user" "$root$home"
    chown -R "$uid:$gid" "$root$home"
done <"$root/etc/passwd"

# Process 1 reaps what is left behind; sshd is started and stopped from outside.
exec chroot "$root" /bin/bash -c 'cd /; : >/run/lab/up; while :; do sleep 1000 & wait "$!"; done'
