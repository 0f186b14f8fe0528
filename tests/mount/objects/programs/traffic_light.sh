#!/bin/bash
# Cars wait for green. Usage: traffic_light.sh FOLDER
cd "$1" || exit
touch green.event arrived.sem

car() {
    echo "car $1 arrives"
    echo 1 > arrived.sem
    read -r _ < green.event
    echo "car $1 passes"
}

echo "red"
for i in {1..5}; do car "$i" & done
for i in {1..5}; do read -r _ < arrived.sem; done
echo "green"
echo set > green.event
wait
echo clear > green.event
echo "red"
read -r _ < green.event@0.2 2> /dev/null || echo "car 6 still waits"
