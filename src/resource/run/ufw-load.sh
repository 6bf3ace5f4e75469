# Switches ufw on. Where somebody has emptied the kernel's own chains, ufw finds its chains there, takes them for
# loaded, sets the policy and adds no way to them: nobody comes in any more. So the ways are added first.
for p in iptables:ufw ip6tables:ufw6; do
	t=${p%%:*} n=${p#*:}
	if ! command -v "$t" >/dev/null; then continue; fi
	for c in INPUT:input OUTPUT:output FORWARD:forward; do
		for s in before-logging before after after-logging reject track; do
			x=$n-$s-${c#*:}
			if "$t" -S "$x" >/dev/null 2>&1 && ! "$t" -C "${c%%:*}" -j "$x" 2>/dev/null; then
				"$t" -A "${c%%:*}" -j "$x" || exit
			fi
		done
	done
done
out=$(ufw --force enable 2>&1 && ufw reload 2>&1)
code=$?
printf '%s\n' "$out"
case $out in *ERROR:* | *'problem running'*) exit 1 ;; esac
exit "$code"
