# $1: `upgrade` or `dist-upgrade`; $2: `security` or `all`; $3: `autoremove` or `keep`; $4: `removals` or `none`;
# $5: `refresh`, where lists are too old to say what is pending, or `as-planned`. Words on standard input: what the plan
# saw, `Inst NAME VERSION` and `Remv NAME`; where it is something else now, nothing is done.
planned=$(sort)
mode=$1 security=$2 autoremove=$3 removals=$4 refresh=$5
case $mode in upgrade) mode='--with-new-pkgs upgrade' ;; esac
# What apt says it would do, in these words.
would() { sed -nE -e 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/Inst \1 \3/p' -e 's/^(Remv|Purg) ([^ ]+).*/Remv \2/p'; }
if [ "$refresh" = refresh ]; then
	apt_get update || { echo 'the package lists cannot be refreshed; nothing was upgraded' >&2; exit 1; }
	mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/periodic/update-success-stamp
fi
sim=$(apt_get -s $mode) || { printf '%s\n' "$sim"; exit 1; }
if [ "$security" = security ]; then
	sim=$(printf '%s\n' "$sim" | grep -E '^Inst .*\(.*-security[, ]')
	set -- $(printf '%s\n' "$sim" | would | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
	if [ "$#" -gt 0 ]; then
		names=$*
		mode="--only-upgrade install -- $names"
		also=$(apt_get -s $mode) || { printf '%s\n' "$also"; exit 1; }
		gone=$(printf '%s\n' "$also" | would | grep '^Remv ')
	else
		mode= gone=
	fi
else
	gone=$(printf '%s\n' "$sim" | would | grep '^Remv ')
fi
now=$(printf '%s\n' "$sim" | would | sort)
if [ "$refresh" != refresh ] && [ "$now" != "$planned" ]; then
	printf 'what is pending is not what the plan showed; plan again. Now:\n%s\n' "$now" >&2
	exit 1
fi
if [ "$removals" != removals ] && [ -n "$gone" ]; then
	printf 'not upgraded, because these would be removed: %s; `allow_removals` allows it\n' "$(echo "$gone" | sed 's/^Remv //' | tr '\n' ' ')" >&2
	exit 1
fi
if [ -n "$mode" ] && [ -n "$now" ]; then
	apt_get $mode || { code=$?; echo 'the upgrade stopped half way; `dpkg --audit` says what is broken, `dpkg --configure -a` goes on' >&2; exit "$code"; }
fi
if [ "$autoremove" = autoremove ]; then apt_get autoremove || exit; fi
exit 0
