# Switches ufw on. Where it finds chains of its own in the kernel it takes its rules for loaded; so it is told to load
# them again, which takes longer than all else here. And where somebody has emptied the kernel's own chains, it sets the
# policy and adds no way to its chains: nobody comes in any more. So the ways are added first. Tables that cannot be
# read may have such chains.
again=
if { iptables -S || echo '-N ufw'; ip6tables -S || echo '-N ufw'; } 2>/dev/null | grep -q '^-N ufw'; then
	again=1
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
fi
out=$(ufw --force enable 2>&1 && if [ -n "$again" ]; then ufw reload 2>&1; fi)
code=$?
printf '%s\n' "$out"
case $out in *ERROR:* | *'problem running'*) exit 1 ;; esac
exit "$code"
