#!/bin/bash
# A KTV with four rooms and twelve guests. Usage: ktv.sh FOLDER
cd "$1" || exit
echo 4 > rooms.sem
touch inside.value

guest() {
    exec 9< rooms.sem
    flock 9                                 # a room, given back when this subshell ends
    exec 8<> inside.value
    echo "+=1" >&8
    read -r now <&8                         # what my own += made of it
    echo "guest $1 sings, $now inside"
    sleep "0.0$((RANDOM % 3 + 1))"
    echo "-=1" >&8
}

for i in {1..12}; do guest "$i" & done
wait
echo "rooms free: $(stat -c %s rooms.sem)"
