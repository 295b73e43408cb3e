#!/usr/bin/env python3
"""Keys, and the partitions on which PyKafka's HashingPartitioner puts them.

Prints a line for each key: its bytes in hexadecimal digits, then PyKafka's choice among so many partitions as each of COUNTS
says. `Partitions.java` appends the key's murmur2 and what Kafka's Java producer chooses. Run with the jars of 0.8.2.2 and then
with those of 0.9.0.1, the result is kept as crates/producer/src/partitioner/golden.txt; made with PyKafka 2.8.0:

    partitions.py | java -cp 'jars-0.8.2.2/*' Partitions.java | java -cp 'jars-0.9.0.1/*' Partitions.java
"""

import random

from pykafka.partition import Partition
from pykafka.partitioners import HashingPartitioner

COUNTS = [1, 2, 7, 8, 64]


class Topic:
    name = b"orders"


TOPIC = Topic()


def keys():
    chance = random.Random(28)
    yield b""
    yield from (bytes([byte]) for byte in (0, 1, 10, 32, 65, 127, 128, 255))
    yield from (f"customer-{number}".encode() for number in range(60))
    yield from (str(10**digits).encode() for digits in range(18))
    yield from (word.encode() for word in ("ключ", "über", "鍵", "🔑", "é", "e\u0301", "a b", "A", "a", "\x00a", "a\x00"))
    # Every length about each border of the hashes' blocks: 4 bytes, and 64.
    yield from (chance.randbytes(length) for length in [*range(1, 20), *range(53, 68), *range(117, 131)])
    yield from (chance.randbytes(chance.randint(2, 40)) for _ in range(110))
    yield from (chance.randbytes(length) for length in (255, 256, 1000))


def partitions(count, chance):
    # In any order, as they come out of a dictionary.
    made = [Partition(TOPIC, number, None, [], []) for number in range(count)]
    chance.shuffle(made)
    return made


def main():
    chance = random.Random(7)
    choose = HashingPartitioner()
    for key in keys():
        chosen = [choose(partitions(count, chance), key).id for count in COUNTS]
        print(key.hex() or '""', *chosen)


if __name__ == "__main__":
    main()
