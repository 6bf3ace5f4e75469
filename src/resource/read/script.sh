# $1: what the user wrote to read with; $2: seconds it may take. The text comes by standard input: words of ours are
# nobody's arguments. Its errors are shown where it fails.
{
	err=$(printf '%s\n' "$1" | timeout -k 1 "$2" sh 2>&1 1>&3 3>&-)
	code=$?
} 3>&1
if [ "$code" != 0 ]; then printf '%s' "$err"; fi
exit "$code"
