# $1: our file; $2: the path; $3: `gone` where the file went: then its directory, which no package brings, goes too if
# it is empty. exportfs exits with 0 although a client's name is not known or a line is ignored, so everything it says
# of our line is a failure, but for a notice on a default that changed long ago.
out=$(exportfs -ra 2>&1)
code=$?
said=$(printf '%s\n' "$out" | grep -v -e "Neither 'subtree_check'" -e 'Assuming default behaviour' -e 'NOTE: this default has changed' -e '^$')
printf '%s\n' "$said" >&2
if [ "$code" != 0 ]; then exit "$code"; fi
# The path is followed by its end, a blank, a colon or a quote: there may be others that begin like it.
case "$said
" in *"$1"* | *"$2
"* | *"$2 "* | *"$2:"* | *"$2\""* | *'Failed to resolve'*) exit 1 ;; esac
if [ "$3" = gone ]; then rmdir -- "${1%/*}" 2>/dev/null; fi
exit 0
