#!/bin/bash
# Eight buyers, three tickets. Usage: tickets.sh FOLDER lock|nolock
cd "$1" || exit
how=$2
echo 3 > left.value
echo 8 > looked.barrier
touch sold.queue desk.lock

buyer() {
    if [ "$how" = lock ]; then
        exec 9< desk.lock
        flock 9                       # given back when this subshell ends
    fi
    left=$(cat left.value)            # look at the board
    if [ "$how" = nolock ]; then      # all look before anybody pays
        read -r _ < looked.barrier
    fi
    if [ "$left" -gt 0 ]; then
        echo $((left - 1)) > left.value
        echo "buyer $1" > sold.queue
    fi
}

for i in {1..8}; do buyer "$i" & done
wait
echo "sold $(stat -c %s sold.queue) of 3"
