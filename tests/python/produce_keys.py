#!/usr/bin/env python3
"""Produces a message for each key through PyKafka's Producer with its HashingPartitioner.

Reads one key a line, in hexadecimal digits. Ends when all messages are acknowledged.
Arguments: bootstrap servers, topic, the value of every message.
"""

import sys

import pykafka
from pykafka.partitioners import HashingPartitioner


def main():
    bootstrap, topic, value = sys.argv[1:]
    client = pykafka.KafkaClient(hosts=bootstrap, broker_version="0.8.2")
    keys = [bytes.fromhex(line.strip()) for line in sys.stdin]
    producer = client.topics[topic].get_producer(
        partitioner=HashingPartitioner(),
        linger_ms=100,
        delivery_reports=True,
    )
    for key in keys:
        producer.produce(value.encode(), partition_key=key)
    for _ in keys:
        _, error = producer.get_delivery_report(timeout=30)
        if error is not None:
            raise error
    producer.stop()


if __name__ == "__main__":
    main()
