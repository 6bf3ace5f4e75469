# $@: words for ufw. Its exit code is 0 for some failures.
out=$(ufw "$@" 2>&1)
code=$?
printf '%s\n' "$out"
case $out in
*ERROR:* | *'problem running'* | *Aborted*) exit 1 ;;
esac
exit "$code"
