"""A child changes a value and an array. Usage: shared_memory.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Array, Value

os.chdir(sys.argv[1])


def child():
    number, numbers = Value("num.value"), Array("arr.array")
    number.value = 3.1415927
    for i in range(len(numbers)):
        numbers[i] = -numbers[i]


number = Value("num.value", "d", 0.0)
numbers = Array("arr.array", "i", range(10))
process = Process(target=child)
process.start()
process.join()
print(number.value)
print(*numbers[:])
