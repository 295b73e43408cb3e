#!/usr/bin/env python3
"""Reads or writes a topic through one of Python's clients, and prints what that took.

One JSON object, with the fields that `divvy bench` prints. The clock runs from the making of the client to the last message
or acknowledgement; CPU is that of the whole process in that while.
"""

import argparse
import asyncio
import importlib.metadata
import json
import resource
import time

CLIENTS = ["aiokafka", "confluent-kafka", "kafka-python", "pykafka"]

FETCH_BYTES = 1 << 20
# What others write compresses like this; here nothing is compressed.
LINE = b"deadbeef 2015-06-01T12:34:56.789Z GET /shop/books/item-12345?page=6 200 17890 Firefox/38.0\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", required=True, choices=CLIENTS)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--broker-version", default="0.8.2.2")
    parser.add_argument("--produce", action="store_true")
    parser.add_argument("--size", type=int, default=100)
    return parser.parse_args()


class Tally:
    def __init__(self, messages):
        self.wanted = messages
        self.messages = 0
        self.bytes = 0
        self.value_sum = 0

    def add(self, value):
        self.messages += 1
        self.bytes += len(value)
        self.value_sum += value[0]
        return self.messages < self.wanted


def confluent(options):
    return {
        "bootstrap.servers": options.bootstrap,
        "api.version.request": False,
        "broker.version.fallback": options.broker_version,
    }


def consume_confluent_kafka(options, tally):
    import confluent_kafka

    consumer = confluent_kafka.Consumer(
        confluent(options)
        | {
            "group.id": "bench",
            "enable.auto.commit": False,
            "check.crcs": True,
            "fetch.message.max.bytes": FETCH_BYTES,
            "queued.min.messages": 10_000_000,
            "queued.max.messages.kbytes": 1_000_000,
        }
    )
    partitions = consumer.list_topics(options.topic).topics[options.topic].partitions
    consumer.assign([confluent_kafka.TopicPartition(options.topic, id, 0) for id in partitions])
    going = True
    while going:
        for message in consumer.consume(10_000, timeout=1.0):
            if message.error() is None and not tally.add(message.value()):
                going = False
                break


def produce_confluent_kafka(options, values, tally):
    import confluent_kafka

    failed = []

    def delivered(error, _message):
        if error is not None:
            failed.append(error)

    producer = confluent_kafka.Producer(confluent(options) | {"acks": 1, "linger.ms": 5})
    for value in values:
        while True:
            try:
                producer.produce(options.topic, value, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        tally.add(value)
        if tally.messages % 1000 == 0:
            producer.poll(0)
    producer.flush()
    if failed:
        raise SystemExit(f"{len(failed)} messages were not delivered: {failed[0]}")


def version(options):
    return tuple(int(part) for part in options.broker_version.split(".")[:3])


def consume_kafka_python(options, tally):
    import kafka

    consumer = kafka.KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        api_version=version(options),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    partitions = consumer.partitions_for_topic(options.topic)
    consumer.assign([kafka.TopicPartition(options.topic, id) for id in sorted(partitions)])
    for message in consumer:
        if not tally.add(message.value):
            break


def produce_kafka_python(options, values, tally):
    import kafka

    producer = kafka.KafkaProducer(
        bootstrap_servers=options.bootstrap, api_version=version(options), acks=1, linger_ms=5
    )
    sent = []
    for value in values:
        sent.append(producer.send(options.topic, value))
        tally.add(value)
    producer.flush()
    for delivery in sent:
        delivery.get(timeout=30)


def consume_aiokafka(options, tally):
    import aiokafka

    async def consume():
        # Without a group it is given every partition.
        consumer = aiokafka.AIOKafkaConsumer(
            options.topic,
            bootstrap_servers=options.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        await consumer.start()
        async for message in consumer:
            if not tally.add(message.value):
                break
        await consumer.stop()

    asyncio.run(consume())


def produce_aiokafka(options, values, tally):
    import aiokafka

    async def produce():
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=options.bootstrap, acks=1, linger_ms=5)
        await producer.start()
        sent = []
        for value in values:
            sent.append(await producer.send(options.topic, value))
            tally.add(value)
        await producer.flush()
        for delivery in sent:
            await delivery
        await producer.stop()

    asyncio.run(produce())


def pykafka_topic(options):
    import pykafka

    release = ".".join(options.broker_version.split(".")[:3])
    client = pykafka.KafkaClient(hosts=options.bootstrap, broker_version=release)
    return client.topics[options.topic]


def consume_pykafka(options, tally):
    from pykafka.common import OffsetType

    consumer = pykafka_topic(options).get_simple_consumer(
        auto_offset_reset=OffsetType.EARLIEST,
        fetch_message_max_bytes=FETCH_BYTES,
        queued_max_messages=100_000,
    )
    for message in consumer:
        if not tally.add(message.value):
            break
    consumer.stop()


def produce_pykafka(options, values, tally):
    with pykafka_topic(options).get_producer(linger_ms=5, required_acks=1) as producer:
        for value in values:
            producer.produce(value)
            tally.add(value)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    options = arguments()
    tally = Tally(options.messages)
    direction = "produce" if options.produce else "consume"
    run = globals()[f"{direction}_{options.client.replace('-', '_')}"]
    began, cpu_before = time.monotonic(), cpu()
    if options.produce:
        text = LINE * (options.size // len(LINE) + 1)
        run(options, (text[: options.size] for _ in range(options.messages)), tally)
    else:
        run(options, tally)
    seconds = time.monotonic() - began
    print(
        json.dumps(
            {
                "messages": tally.messages,
                "bytes": tally.bytes,
                "seconds": seconds,
                "msgs_per_s": tally.messages / seconds,
                "mb_per_s": tally.bytes / seconds / 1e6,
                "cpu_ns_per_msg": (cpu() - cpu_before) * 1e9 / tally.messages,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
                # PyKafka reads past them.
                "crc_checked": options.client != "pykafka",
                "value_sum": tally.value_sum,
                "version": importlib.metadata.version(options.client),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
