#!/bin/bash
# Waiting for an event with a time limit. Usage: event_limit.sh FOLDER
cd "$1" || exit
touch ready.event tried.sem

waiter() {
    until read -r _ < ready.event@0.2; do
        echo "not yet"
        echo 1 > tried.sem
        read -r _ < set.sem                 # the service starts between two tries
    done 2> /dev/null
    echo "ready"
}

touch set.sem
waiter &
read -r _ < tried.sem
echo set > ready.event
echo 1 > set.sem
wait
