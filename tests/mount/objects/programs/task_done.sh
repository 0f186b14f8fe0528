#!/bin/bash
# The producer waits until everything is eaten. Usage: task_done.sh FOLDER
cd "$1" || exit
touch buns.queue

consumer() {
    while read -r bun < buns.queue; do
        echo "ate bun $bun"
        echo 1 > buns.queue.ctl/done
    done
}

consumer & eater=$!
seq 10 > buns.queue
cat buns.queue.ctl/join > /dev/null
echo "all eaten"
kill $eater
