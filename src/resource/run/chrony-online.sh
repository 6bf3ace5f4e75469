# The clock is not synchronised: sources that somebody took off line are asked again, some times quickly. The gate waits
# for the rest. $1: seconds; a clock that is wrong by more is set at once. Empty: it never is.
chronyc online >/dev/null 2>&1
if [ -z "$1" ]; then
	chronyc burst 4/8 >/dev/null 2>&1
	exit 0
fi
# By itself chronyd sets it with its first answers only, and later corrects years bit by bit. Where it notices only now
# that somebody has set the clock, it forgets what it was asked for.
for n in 1 2 3; do
	chronyc burst 4/8 >/dev/null 2>&1
	if chronyc waitsync 12 0 0 1 >/dev/null 2>&1; then break; fi
done
chronyc waitsync 1 0 0 1 >/dev/null 2>&1 || exit 0
o=$(chronyc -c -n tracking | cut -d, -f5)
if awk -v o="$o" -v t="$1" 'BEGIN { exit !(o > t || -o > t) }'; then
	printf 'the clock is wrong by %s s, and is set\n' "$o"
	chronyc makestep >/dev/null || exit
fi
exit 0
