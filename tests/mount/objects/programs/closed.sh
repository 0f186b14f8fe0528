#!/bin/bash
# Producer and two consumers; the producer closes the queue. Usage: closed.sh FOLDER
cd "$1" || exit
touch buns.queue

consumer() {
    while read -r bun < buns.queue; do
        echo "ate bun $bun"
    done
    echo "consumer $1 is full"
}

for i in 1 2; do consumer "$i" & done
seq 10 > buns.queue
echo 1 > buns.queue.ctl/closed
wait
