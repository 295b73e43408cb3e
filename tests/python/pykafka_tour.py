#!/usr/bin/env python3
"""Writes lines to a topic through PyKafka's Producer, and reads them through its SimpleConsumer, with offsets in Kafka.

It prints the topic's partitions with their leaders, and one line for each message: partition, offset and value. The consumer
commits in the middle and a second one goes on from there.
"""

import sys

import pykafka


def read(topic, count):
    consumer = topic.get_simple_consumer(
        b"tour",
        consumer_timeout_ms=20000,
        auto_offset_reset=pykafka.common.OffsetType.EARLIEST,
    )
    for _ in range(count):
        message = consumer.consume()
        if message is None:
            raise SystemExit("there is nothing more")
        print("message", message.partition_id, message.offset, message.value.decode())
    consumer.commit_offsets()
    consumer.stop()


def main():
    bootstrap, version, name, count = sys.argv[1:]
    count = int(count)
    client = pykafka.KafkaClient(hosts=bootstrap, broker_version=version)
    topic = client.topics[name]
    for number, partition in sorted(topic.partitions.items()):
        print("partition", number, partition.leader.id, len(partition.replicas), len(partition.isr))
    with topic.get_sync_producer() as producer:
        for number in range(count):
            producer.produce(b"%d" % number)
    read(topic, count // 2)
    read(topic, count - count // 2)


main()
