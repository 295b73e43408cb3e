#!/usr/bin/env python3
"""What one of Python's clients does with a broker: whether it writes and reads, and what becomes of two members of a group of
Kafka's own when one of them is stopped for longer than its session between a message and its commit, and then the other killed.

Prints a line of findings. With --member it is one of the members, and prints a line of JSON for each message.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

SESSION_S = 6
PARTITIONS = 8
PATIENCE_S = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", required=True, choices=["aiokafka", "confluent-kafka", "kafka-python"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--broker-version", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", default=f"group-{time.time():.0f}")
    parser.add_argument("--write", action="store_true", help="write steadily until killed")
    parser.add_argument("--member", action="store_true")
    return parser.parse_args()


def tell(**fields):
    print(json.dumps(fields), flush=True)


class Member:
    """Takes message after message, and commits each; on SIGUSR1 it stops itself in between."""

    def __init__(self):
        self.stops = False
        signal.signal(signal.SIGUSR1, self.stop)

    def stop(self, _signal, _frame):
        self.stops = True

    def took(self):
        if self.stops:
            self.stops = False
            os.kill(os.getpid(), signal.SIGSTOP)
            return True
        return False


def confluent(options):
    return {
        "bootstrap.servers": options.bootstrap,
        "api.version.request": False,
        "broker.version.fallback": options.broker_version,
    }


def version(options):
    return tuple(int(part) for part in options.broker_version.split(".")[:3])


def write_confluent_kafka(options):
    import confluent_kafka

    producer = confluent_kafka.Producer(confluent(options))
    while True:
        for partition in range(PARTITIONS):
            producer.produce(options.topic, b"x", partition=partition)
        if producer.flush(10):
            raise TimeoutError("not delivered")
        tell(wrote=PARTITIONS)
        time.sleep(0.2)


def write_kafka_python(options):
    import kafka

    producer = kafka.KafkaProducer(bootstrap_servers=options.bootstrap, api_version=version(options))
    while True:
        sent = [producer.send(options.topic, b"x", partition=partition) for partition in range(PARTITIONS)]
        for delivery in sent:
            delivery.get(timeout=10)
        tell(wrote=PARTITIONS)
        time.sleep(0.2)


def write_aiokafka(options):
    import aiokafka

    async def write():
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=options.bootstrap)
        await producer.start()
        while True:
            for partition in range(PARTITIONS):
                await producer.send_and_wait(options.topic, b"x", partition=partition)
            tell(wrote=PARTITIONS)
            await asyncio.sleep(0.2)

    asyncio.run(write())


def read_confluent_kafka(options, member):
    import confluent_kafka

    settings = {
        "group.id": options.group,
        "session.timeout.ms": SESSION_S * 1000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = confluent_kafka.Consumer(confluent(options) | settings)
    consumer.subscribe([options.topic])
    while True:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            late = member.took()
            commit(message.partition(), late, lambda: consumer.commit(message, asynchronous=False))


def read_kafka_python(options, member):
    import kafka
    from kafka.structs import OffsetAndMetadata

    consumer = kafka.KafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        api_version=version(options),
        session_timeout_ms=SESSION_S * 1000,
        heartbeat_interval_ms=1000,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    for message in consumer:
        late = member.took()
        place = kafka.TopicPartition(message.topic, message.partition)
        done = OffsetAndMetadata(message.offset + 1, "")
        commit(message.partition, late, lambda place=place, done=done: consumer.commit({place: done}))


def read_aiokafka(options, member):
    import aiokafka

    async def read():
        consumer = aiokafka.AIOKafkaConsumer(
            options.topic,
            bootstrap_servers=options.bootstrap,
            group_id=options.group,
            session_timeout_ms=SESSION_S * 1000,
            heartbeat_interval_ms=1000,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        async for message in consumer:
            late = member.took()
            place = aiokafka.TopicPartition(message.topic, message.partition)
            try:
                await consumer.commit({place: message.offset + 1})
                tell(partition=message.partition, late=late, refused=None)
            except aiokafka.errors.KafkaError as error:
                tell(partition=message.partition, late=late, refused=type(error).__name__)

    asyncio.run(read())


def commit(partition, late, act):
    try:
        act()
        tell(partition=partition, late=late, refused=None)
    except Exception as error:  # Each client has its own.
        tell(partition=partition, late=late, refused=type(error).__name__)


class Program:
    """This program again, with what it says, and when."""

    def __init__(self, options, *more):
        own = ["--client", options.client, "--bootstrap", options.bootstrap, "--topic", options.topic]
        own += ["--broker-version", options.broker_version, "--group", options.group]
        self.process = subprocess.Popen(
            [sys.executable, __file__, *own, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said, self.errors = [], []
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.said.append((time.monotonic(), json.loads(line)))

    def works(self):
        """Whether it says anything before it gives up."""
        return wait(lambda: self.said or self.process.poll() is not None) and bool(self.said)

    def error(self):
        """What it has died of."""
        errors = [line.strip() for line in self.errors if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return errors[-1] if errors else "it waits in vain"

    def partitions(self, since):
        return {line["partition"] for at, line in list(self.said) if at >= since}


def wait(condition):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def first_of(program, partitions, since):
    """After what time it has said something of these partitions."""

    def times():
        return [at for at, line in list(program.said) if at > since and line["partition"] in partitions]

    if not wait(times):
        return None
    return times()[0] - since


def share(first, second):
    """Waits until both have a half, and gives that of the second one."""

    def halves():
        since = time.monotonic() - 1
        return first.partitions(since), second.partitions(since)

    if not wait(lambda: [len(half) for half in halves()] == [PARTITIONS / 2] * 2 and not set.intersection(*halves())):
        raise SystemExit("the members do not share the partitions")
    return halves()


def examine(options, programs):
    writer = Program(options, "--write")
    programs.append(writer)
    found = [f"writes: {'yes' if writer.works() else 'no'}"]
    if not writer.said:
        return found + [writer.error()]
    first = Program(options, "--member")
    programs.append(first)
    if not first.works():
        return found + [f"reads as a member of a group: no, {first.error()}"]
    found.append("reads as a member of a group: yes")
    second = Program(options, "--member")
    programs.append(second)
    if version(options) < (0, 9):
        both = wait(lambda: len(first.partitions(0)) == len(second.partitions(0)) == PARTITIONS)
        return found + [f"two members share the partitions: {'no, both read all of them' if both else 'perhaps'}"]
    own, _ = share(first, second)
    first.process.send_signal(signal.SIGUSR1)
    first_of(second, own, time.monotonic() + SESSION_S / 2)
    first.process.send_signal(signal.SIGCONT)
    wait(lambda: any(line["late"] for _, line in list(first.said)))
    late = [line["refused"] or "taken" for _, line in first.said if line["late"]]
    found.append(f"a commit that comes too late: {late[0] if late else 'none came'}")
    _, others = share(first, second)
    second.process.kill()
    taken = first_of(first, others, time.monotonic())
    found.append(f"taken over after a SIGKILL: {'never' if taken is None else f'{taken:.1f} s'} (session {SESSION_S} s)")
    return found


def main():
    options = arguments()
    name = options.client.replace("-", "_")
    if options.write:
        globals()[f"write_{name}"](options)
    elif options.member:
        globals()[f"read_{name}"](options, Member())
    else:
        programs = []
        try:
            found = examine(options, programs)
        finally:
            for program in programs:
                program.process.kill()
        release = importlib.metadata.version(options.client)
        print(f"{options.client} {release} on {options.broker_version}: {'; '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
