#!/bin/bash
# A server that adds, over a two-way pipe. Usage: adder.sh FOLDER
cd "$1" || exit
mkdir adder.pipe

server() {
    exec 3<> adder.pipe/a
    while read -r x y <&3; do
        echo $((x + y)) >&3
    done
    echo "the client has gone"
}

client() {
    exec 3<> adder.pipe/b
    for x in 1 20 -5; do
        echo "$x 7" >&3
        read -r sum <&3
        echo "$x + 7 = $sum"
    done
}

server &
client &
wait
