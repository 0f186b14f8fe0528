#!/bin/bash
# Twelve workers print three lines each, under one lock. Usage: print_lock.sh FOLDER
cd "$1" || exit
touch printer.lock

worker() {
    flock 9
    for line in 1 2 3; do echo "worker $1 line $line"; done
}

for i in {1..12}; do worker "$i" 9< printer.lock & done
wait
