#!/bin/bash
# A reader ends when every writer is gone, and hangs when somebody left an end open.
# Usage: end_of_file.sh FOLDER closed|open
cd "$1" || exit
how=$2
touch words.pipe
limit=20
[ "$how" = open ] && limit=1.5              # or it would hang for ever

exec 4> words.pipe
reader() {
    if [ "$how" = closed ]; then
        exec 4>&-                           # the writing end that it inherited
    fi
    exec 3< "words.pipe@$limit"
    read -r word <&3
    echo "got $word"
    if cat <&3 2> /dev/null; then
        echo "end of file"
    else
        echo "still waiting: I have an end open myself"
    fi
}

reader &
echo hello >&4
exec 4>&-
wait
