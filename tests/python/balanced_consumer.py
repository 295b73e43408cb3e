#!/usr/bin/env python3
"""A member of a group of PyKafka's BalancedConsumer, as a program.

It prints one line for each message, `topic partition offset value`, as the tests have
`divvy consume` print them, and leaves its group on SIGTERM.
"""

import argparse
import signal
import sys

import pykafka


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zookeeper", required=True, help="servers with an optional chroot")
    parser.add_argument("--group", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--session-timeout-ms", type=int, default=6000)
    parser.add_argument("--commit-interval-ms", type=int, default=1000)
    parser.add_argument("--bootstrap", required=True, help="brokers, host:port[,host:port…]")
    parser.add_argument("--broker-version", default="0.8.2")
    return parser.parse_args()


def leave(_signal, _frame):
    raise SystemExit(0)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, leave)
    client = pykafka.KafkaClient(hosts=options.bootstrap, broker_version=options.broker_version)
    consumer = client.topics[options.topic].get_balanced_consumer(
        options.group,
        auto_commit_enable=True,
        auto_commit_interval_ms=options.commit_interval_ms,
        # This is the session timeout, whatever its name.
        zookeeper_connection_timeout_ms=options.session_timeout_ms,
        zookeeper_connect=options.zookeeper,
    )
    try:
        for message in consumer:
            value = message.value.decode("utf-8", "replace")
            line = f"{options.topic} {message.partition_id} {message.offset} {value}\n"
            sys.stdout.write(line)
            sys.stdout.flush()
    finally:
        consumer.stop()


if __name__ == "__main__":
    main()
