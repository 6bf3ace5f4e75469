# Writes our part of chrony's configuration, from standard input (nothing: takes it away), and has chronyd use it.
# $1: what becomes of the sources that other files name: `on`, `off`, or `keep`; $2: `reload`, where only sources are
# new, or `restart`; $3: `keep` leaves settings of ours that are not among the new ones, `drop` does not. Where the
# result is not valid, nothing is changed; where chronyd does not start, all is put back.
c=/etc/chrony/chrony.conf
d=/etc/chrony/sources.d
if ! command -v chronyd >/dev/null; then echo 'chrony is not installed; name it in a `packages`' >&2; exit 1; fi
in=$(cat)
source='^(pool|server) '
w=$(mktemp -d /etc/chrony/.coxswain.XXXXXXXX) || exit
chmod 0755 "$w"
trap 'rm -rf -- "$w"' EXIT
for x in /etc/chrony/.coxswain.*; do if [ "$x" != "$w" ]; then rm -rf -- "$x"; fi; done
into=block
if grep -qiE '^[[:space:]]*sourcedir[[:space:]]+/etc/chrony/sources\.d[[:space:]]*$' "$c"; then into=file; fi
block=$(if [ "$into" = file ]; then printf '%s\n' "$in" | grep -vE "$source"; else printf '%s\n' "$in"; fi)
sources=$(printf '%s\n' "$in" | grep -E "$source")
if [ "$3" = keep ]; then
	for k in maxupdateskew makestep; do
		if printf '%s\n' "$block" | grep -q "^$k "; then continue; fi
		x=$(sed -n '/^# Managed by coxswain: from here$/,/^# Managed by coxswain: to here$/p' "$c" | grep "^$k " | tail -n 1)
		block=$(printf '%s\n%s\n' "$block" "$x" | grep .)
	done
fi
# The words that the last occurrence decides: those of others are made comments that are easily told from theirs.
hide() {
	printf '%s\n' "$block" | sed -nE 's/^(maxupdateskew|makestep) .*$/s\/^[[:space:]]*\1([[:space:]]|$)\/#coxswain# \&\/I/p'
	case $1 in off) printf '%s\n' 's/^[[:space:]]*(pool|server|peer)[[:space:]]/#coxswain# &/I' ;; esac
}
show() {
	printf '%s\n' '/^# Managed by coxswain: from here$/,/^# Managed by coxswain: to here$/d' 's/^#coxswain# ([[:space:]]*(maxupdateskew|makestep)([[:space:]]|$))/\1/I'
	case $1 in keep) ;; *) printf '%s\n' 's/^#coxswain# ([[:space:]]*(pool|server|peer)[[:space:]])/\1/I' ;; esac
}
edit() { sed -E -e "$(show "$2")" -e "$(hide "$2")" -e '$a\' -- "$1"; }
edit "$c" "$1" >"$w/main" || exit
if [ -n "$block" ]; then printf '# Managed by coxswain: from here\n%s\n# Managed by coxswain: to here\n' "$block" >>"$w/main" || exit; fi
if [ "$into" = file ] && [ -n "$sources" ]; then
	printf '# Managed by coxswain; edits are reported as drift\n%s\n' "$sources" >"$w/sources" || exit
fi
case $(chronyd -v 2>/dev/null) in
*' version '[0-3].*) ;;
*)
	chronyd -p -f "$w/main" >/dev/null || exit
	if [ -e "$w/sources" ]; then chronyd -p -f "$w/sources" >/dev/null || exit; fi
	;;
esac
# Old and new side by side, so that each is put in place, or back, by one rename.
changed=
put() { # NEW AT
	if cmp -s -- "$1" "$2"; then return; fi
	n=$(mktemp "${2%/*}/.coxswain.XXXXXXXX") || return
	changed="$changed $2"
	if [ -e "$2" ]; then
		cp -p -- "$2" "$w/old-${2##*/}" && chmod --reference="$2" "$n" && chown --reference="$2" "$n" || { rm -f -- "$n"; return 1; }
	else
		chmod 0644 "$n" || { rm -f -- "$n"; return 1; }
	fi
	cat "$1" >"$n" && sync -- "$n" && mv -fT -- "$n" "$2" || { rm -f -- "$n"; return 1; }
}
back() {
	if [ -n "$m" ]; then printf '%s\n' "$m" >/run/coxswain-chrony; else rm -f /run/coxswain-chrony; fi
	for x in $changed; do
		if [ -e "$w/old-${x##*/}" ]; then mv -fT -- "$w/old-${x##*/}" "$x"; else rm -f -- "$x"; fi
	done
}
load() {
	if [ "$1" = reload ]; then
		case $(chronyc reload sources 2>&1) in *'200 OK'*) return ;; esac
	fi
	systemctl restart chrony.service
}
rm -f -- "$d"/.coxswain.* /etc/chrony/conf.d/.coxswain.*
# A run that ends from here on, in whatever way, leaves a chronyd that has not read its files.
m=; if [ -r /run/coxswain-chrony ]; then read -r m </run/coxswain-chrony; fi
echo pending >/run/coxswain-chrony || exit
{
	for f in /etc/chrony/conf.d/*.conf; do
		if [ ! -e "$f" ]; then continue; fi
		sed -E -e "$(case $1 in keep) ;; *) echo 's/^#coxswain# ([[:space:]]*(pool|server|peer)[[:space:]])/\1/I' ;; esac)" \
			-e "$(block=; hide "$1")" -- "$f" >"$w/conf" && put "$w/conf" "$f" || exit
	done
	if [ -e "$w/sources" ]; then
		put "$w/sources" "$d/coxswain.sources"
	elif [ -e "$d/coxswain.sources" ]; then
		cp -p -- "$d/coxswain.sources" "$w/old-coxswain.sources" && rm -f -- "$d/coxswain.sources" && changed="$changed $d/coxswain.sources"
	fi && put "$w/main" "$c"
} || { back; exit 1; }
# Nothing of it was ours: what runs is let be, unless a run that ended in the middle has left it unread.
if [ "$3" = drop ] && [ -z "$changed" ] && [ "$m" != pending ]; then back; exit 0; fi
x=$(cat "$c" /etc/chrony/conf.d/*.conf "$d"/*.sources 2>/dev/null | sha256sum)
if load "$2"; then
	printf '%s\n' "${x%% *}" >/run/coxswain-chrony
	exit 0
fi
echo 'chronyd does not start with the new configuration; the old one is put back' >&2
systemctl --no-pager --full --lines=10 status chrony.service >&2
back
systemctl restart chrony.service
exit 1
