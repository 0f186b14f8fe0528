#!/bin/bash
# Four processes meet. Usage: barrier.sh FOLDER
cd "$1" || exit
echo 4 > meet.barrier

walker() {
    echo "walker $1 arrives"
    read -r index < meet.barrier
    echo "walker $1 goes on, $index"
}

for i in 1 2 3 4; do walker "$i" & done
wait
