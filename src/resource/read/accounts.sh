# Accounts and groups of this machine's own files: what other sources of names bring cannot be changed here.
while IFS=: read -r n x u r || [ -n "$n" ]; do
	case $n in '' | '#'* | [+-]*) continue ;; esac
	printf 'user=%s %s\n' "$u" "$n"
done </etc/passwd
while IFS=: read -r n x g r || [ -n "$n" ]; do
	case $n in '' | '#'* | [+-]*) continue ;; esac
	printf 'group=%s %s\n' "$g" "$n"
done </etc/group
