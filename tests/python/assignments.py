#!/usr/bin/env python3
"""What PyKafka's own assignors make of some groups, as JSON, one group a line.

The result is kept as crates/balanced-consumer/src/assignor/pykafka/golden.json; made with PyKafka 2.8.0.
"""

import json
import random
from types import SimpleNamespace

from pykafka.membershipprotocol import decide_partitions_range, decide_partitions_roundrobin

GROUPS = 60
BROKERS = [0, 1, 2, 3, 9, 10, 11, 20, 100, 101]


class Partition:
    topic = SimpleNamespace(name=b"orders")

    def __init__(self, number, leader):
        self.id, self.leader = number, SimpleNamespace(id=leader)


def partitions(leaders):
    return {number: Partition(number, leader) for number, leader in enumerate(leaders)}


def decided(decide, members, leaders):
    shares = {}
    for member in members:
        mine = decide([other.encode() for other in members], partitions(leaders), member.encode())
        shares[member] = sorted(partition.id for partition in mine)
    return shares


def group(chance):
    brokers = chance.sample(BROKERS, chance.randint(1, 5))
    leaders = [chance.choice(brokers) for _ in range(chance.randint(1, 32))]
    names = ["h", "H", "host-1", "host", "host-", "10.0.0.1", "a_b", "a.b"]
    members = {f"{chance.choice(names)}:{chance.randrange(16**4):04x}" for _ in range(chance.randint(1, 9))}
    members = sorted(members)
    chance.shuffle(members)
    return leaders, members


def main():
    chance = random.Random(28)
    groups = [([1, 2, 10] * 4, ["h:1", "h:2", "h:3"])] + [group(chance) for _ in range(GROUPS)]
    for leaders, members in groups:
        print(json.dumps({
            "leaders": leaders,
            "range": decided(decide_partitions_range, members, leaders),
            "roundrobin": decided(decide_partitions_roundrobin, members, leaders),
        }))


if __name__ == "__main__":
    main()
