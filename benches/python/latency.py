#!/usr/bin/env python3
"""Receives through librdkafka what `latency` sends, as its own receivers do.

Prints `ready` when it has received the first message, and notes when it got each of those behind it. When it has all, it prints
them, a line with a number and a time in nanoseconds for each.
"""

import argparse
import time

import confluent_kafka


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--broker-version", default="0.8.2.2")
    return parser.parse_args()


def consumer(options):
    made = confluent_kafka.Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "api.version.request": False,
            "broker.version.fallback": options.broker_version,
            "group.id": "latency",
            "enable.auto.commit": False,
            "check.crcs": True,
            "fetch.wait.max.ms": 100,
            "socket.nagle.disable": True,
        }
    )
    partitions = made.list_topics(options.topic).topics[options.topic].partitions
    made.assign([confluent_kafka.TopicPartition(options.topic, id, 0) for id in partitions])
    return made


def main():
    options = arguments()
    receiving = consumer(options)
    times = []
    is_ready = False
    while len(times) < options.messages:
        message = receiving.poll(1.0)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if message is None or message.error() is not None:
            continue
        number = int.from_bytes(message.value()[:8], "big")
        if number >= options.first and not is_ready:
            is_ready = True
            print("ready", flush=True)
        if number > options.first:
            times.append((number, now))
    for number, received in times:
        print(number, received)


if __name__ == "__main__":
    main()
