# As read/directory_tree.sh: what is otherwise is set. Other file systems are not entered, links not followed.
if [ -n "$2" ]; then find "$1" -xdev -mindepth 1 ! -user "$2" -exec chown -h -- "$2" {} + || exit; fi
if [ -n "$3" ]; then find "$1" -xdev -mindepth 1 ! -group "$3" -exec chgrp -h -- "$3" {} + || exit; fi
if [ -n "$4" ]; then find "$1" -xdev -mindepth 1 -type f ! -perm "$4" -exec chmod -- "$4" {} + || exit; fi
if [ -n "$5" ]; then find "$1" -xdev -mindepth 1 -type d ! -perm "$5" -exec chmod -- "$5" {} + || exit; fi
