#!/bin/bash
# Producer and two consumers; a sentinel ends it. Usage: sentinel.sh FOLDER
cd "$1" || exit
touch buns.queue

consumer() {
    while read -r bun < buns.queue; do
        if [ "$bun" = end ]; then
            echo end > buns.queue           # for the other one
            break
        fi
        echo "ate bun $bun"
    done
    echo "consumer $1 is full"
}

for i in 1 2; do consumer "$i" & done
seq 10 > buns.queue
echo end > buns.queue
wait
