# Stands before every program that runs apt-get to change something. Lines for whoever watches go to 3: the output of
# apt-get is kept by some of them.
exec 3>&1
apt_waited=0
# $@: files. Says who holds a lock of one of them; nothing where nobody is seen to.
apt_holder() {
	if ! [ -r /proc/locks ]; then return; fi
	for f do
		i=$(stat -c %i -- "$f" 2>/dev/null) || continue
		while read -r x kind x x p at x; do
			case $kind:$at in POSIX:*:"$i") ;; *) continue ;; esac
			# Not every file system shows its own device there, and numbers are used twice: what is open tells.
			for o in /proc/"$p"/fd/*; do
				if [ "$o" -ef "$f" ]; then
					c=; read -r c <"/proc/$p/comm" || :
					printf '%s (pid %s) holds %s\n' "${c:-a process}" "$p" "$f"
					return
				fi
			done
		done </proc/locks
	done
}
# apt-get with the options of all: no terminal, changed configuration files are kept (dpkg(1), `--force-confdef`,
# `--force-confold`), and nothing is asked of what apt made of dpkg's status earlier, which it takes for valid while size
# and second of that file are the same. It waits for some of its locks, a while, and fails at others: so they are waited
# for here.
apt_get() {
	locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/cache/apt/archives/lock'
	case " $* " in *' update '*) locks=/var/lib/apt/lists/lock ;; esac
	for try in 1 2 3; do
		said=
		while h=$(apt_holder $locks) && [ -n "$h" ]; do
			if [ "$apt_waited" -ge 300 ]; then
				printf '%s, and still does after %s s\n' "$h" "$apt_waited" >&2
				return 100
			fi
			if [ "$h" != "$said" ]; then printf 'waiting: %s\n' "$h" >&3; said=$h; fi
			sleep 1
			apt_waited=$((apt_waited + 1))
		done
		apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=10 -o Dir::Cache::pkgcache= \
			-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends "$@" 3>&-
		code=$?
		# Again only where somebody may have been faster.
		if [ "$code" != 100 ] || [ -z "$(apt_holder $locks)" ]; then break; fi
	done
	return "$code"
}
