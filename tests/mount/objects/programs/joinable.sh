#!/bin/bash
# Three producers and two consumers. Usage: joinable.sh FOLDER
cd "$1" || exit
touch food.queue

producer() {
    for i in {1..5}; do echo "$1 $i" > food.queue; done
    cat food.queue.ctl/join > /dev/null     # mine are eaten, and so are all others
    echo "cook of $1 goes home"
}

consumer() {
    while read -r food < food.queue; do
        echo "$1 ate $food"
        echo 1 > food.queue.ctl/done
    done
}

for name in egg alex; do consumer "$name" & consumers+=($!); done
for name in bun bone swill; do producer "$name" & cooks+=($!); done
wait "${cooks[@]}"
kill "${consumers[@]}"
