# $1: SHA-256; $2: the path; $3: mode; $4: owner; $5: group (empty: as it was, or root and 0644); $6: the SHA-256 of
# what is there, or `absent`. The address comes on standard input, where nobody on the host can read it.
p=$2
t=${p%/*}/.${p##*/}.coxswain-download
IFS= read -r u || exit
now=absent
if [ -e "$p" ] || [ -L "$p" ]; then now=$(sha256sum <"$p") || exit; now=${now%% *}; fi
if [ "$now" != "$6" ] && [ "$now" != "$1" ]; then printf '%s is not what the plan saw\n' "$p" >&2; exit 1; fi
umask 077
rm -f -- "$t" || exit
trap 'rm -f -- "$t"' EXIT
case $u in
file:*)
	f=${u#file:}
	case $f in //*) f=${f#//} ;; esac
	cp -- "$f" "$t" || exit
	;;
*)
	if command -v curl >/dev/null; then
		# A quote or a backslash would end the word: the address has none.
		printf 'url = "%s"\n' "$u" | curl -K - -fsSL --proto '=http,https' --max-redirs 5 --retry 3 --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$t" || exit
	elif command -v wget >/dev/null; then
		printf '%s\n' "$u" | wget -q -i - --tries=3 --timeout=60 --max-redirect=5 -O "$t" || { c=$?; echo "wget exited with $c" >&2; exit "$c"; }
	else
		echo 'neither curl nor wget is on the host; name one in a `packages`' >&2
		exit 1
	fi
	;;
esac
s=$(sha256sum <"$t") || exit
s=${s%% *}
if [ "$s" != "$1" ]; then printf 'what came has the SHA-256 %s, not %s; %s is left as it is\n' "$s" "$1" "$p" >&2; exit 1; fi
if [ -e "$p" ]; then chmod --reference="$p" "$t" && chown --reference="$p" "$t" || exit; else chmod 0644 "$t" || exit; fi
if [ -n "$4$5" ]; then chown -- "$4${5:+:$5}" "$t" || exit; fi
if [ -n "$3" ]; then chmod -- "$3" "$t" || exit; fi
sync -- "$t" && mv -fT -- "$t" "$p"
