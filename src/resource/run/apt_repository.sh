# $1: the name. Standard input: the file, then the key if there is one. Where the lists cannot be fetched, what was
# there before is put back. Nothing on standard input takes the repository away.
f=/etc/apt/sources.list.d/coxswain-$1.sources
k=/etc/apt/keyrings/coxswain-$1.asc
m=/var/lib/coxswain/apt/$1
mkdir -p /etc/apt/keyrings && mkdir -p -m 0700 /var/lib/coxswain/apt || exit
w=$(mktemp -d /var/lib/coxswain/apt/.work.XXXXXXXX) || exit
trap 'rm -rf -- "$w"' EXIT
cat >"$w/all" || exit
sed '/^-----BEGIN /,$d' "$w/all" >"$w/sources"
sed -n '/^-----BEGIN /,$p' "$w/all" >"$w/key"
put() { # FROM TO; nothing in FROM removes TO
	if [ ! -s "$1" ]; then rm -f -- "$2"; return; fi
	t=$(mktemp "${2%/*}/.coxswain.XXXXXXXX") || return
	chmod 0644 "$t" && cat "$1" >"$t" && sync -- "$t" && mv -fT -- "$t" "$2" || { rm -f -- "$t"; return 1; }
}
: >"$w/old-key"; : >"$w/old-sources"
if [ -e "$k" ]; then cp -- "$k" "$w/old-key" || exit; fi
if [ -e "$f" ]; then cp -- "$f" "$w/old-sources" || exit; fi
rm -f -- "$m"
put "$w/key" "$k" && put "$w/sources" "$f" || exit
if [ ! -s "$w/sources" ]; then
	rm -rf -- "$w"
	rmdir -- "${m%/*}" "${m%/*/*}" 2>/dev/null
	exit 0
fi
out=$(apt_get -o Dir::Etc::sourcelist="$f" -o Dir::Etc::sourceparts=- -o Apt::Get::List-Cleanup=0 update 2>&1)
code=$?
printf '%s\n' "$out"
# apt-get succeeds where an index could not be fetched or is not signed: it takes the old one.
if [ "$code" = 0 ] && ! printf '%s\n' "$out" | grep -qE '^(Err:|E: |W: (Failed|GPG error|An error|Some index|The repository))'; then
	x=$(cat "$f" "$k" 2>/dev/null | sha256sum)
	printf '%s\n' "${x%% *}" >"$w/mark" && mv -fT -- "$w/mark" "$m"
	exit
fi
put "$w/old-sources" "$f"
put "$w/old-key" "$k"
printf '%s\n' "$out" | grep -E '^(Err:|E: |W: )' >&2
echo 'the lists of the repository cannot be fetched; it is not added' >&2
exit 1
