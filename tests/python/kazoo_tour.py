#!/usr/bin/env python3
"""Does with a ZooKeeper what Kafka's clients in Python do, through kazoo, and prints what it sees.

Given the address of an empty server, it prints the same lines for every server that behaves alike.
"""

import queue
import socket
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE, make_digest_acl

PATIENCE = 20


def connect(hosts, **options):
    client = KazooClient(hosts, timeout=4, **options)
    client.start(PATIENCE)
    return client


def outcome(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except KazooException as error:
        return type(error).__name__


def stat_of(stat):
    return stat.version, stat.cversion, stat.aversion, stat.numChildren, stat.dataLength, stat.ephemeralOwner != 0


def nodes(client):
    print("create", client.create("/tour", b"one"))
    print("again", outcome(client.create, "/tour", b"two"))
    print("orphan", outcome(client.create, "/none/child", b""))
    print("deep", client.create("/tour/a/b/c", b"deep", makepath=True))
    data, stat = client.get("/tour")
    print("get", data, stat_of(stat))
    print("set", stat_of(client.set("/tour", b"three", version=0)))
    print("stale", outcome(client.set, "/tour", b"four", version=0))
    print("children", sorted(client.get_children("/tour")))
    print("not empty", outcome(client.delete, "/tour"))
    print("missing", client.exists("/none"), outcome(client.get, "/none"))
    print("recursive", client.delete("/tour/a", recursive=True), client.exists("/tour/a"))


def ephemerals(hosts, client):
    client.create("/members")
    other = connect(hosts)
    name = other.create("/members/m-", b"me", ephemeral=True, sequence=True)
    print("sequential", name, other.create("/members/n-", ephemeral=True, sequence=True))
    print("owned", stat_of(client.get(name)[1])[-1])
    print("below", outcome(other.create, name + "/x", b""))
    gone = queue.Queue()
    client.get(name, watch=gone.put)
    other.stop()
    event = gone.get(timeout=PATIENCE)
    print("closed", event.type, event.path, client.get_children("/members"))
    print("counts on", client.create("/members/m-", sequence=True))
    client.delete("/members", recursive=True)


def watches(client):
    events = queue.Queue()

    def seen(event):
        events.put((event.type, event.path))

    def next_event():
        return events.get(timeout=PATIENCE)

    print("watched", client.exists("/watched", watch=seen))
    client.create("/watched", b"")
    print("event", next_event())
    client.get("/watched", watch=seen)
    client.set("/watched", b"1")
    print("event", next_event())
    client.get_children("/watched", watch=seen)
    client.create("/watched/child")
    print("event", next_event())
    client.delete("/watched/child")
    client.exists("/watched", watch=seen)
    client.delete("/watched")
    print("event", next_event(), "and no other", events.empty())


def transactions(client):
    good = client.transaction()
    good.create("/many", b"")
    good.create("/many/a", b"a")
    good.set_data("/many/a", b"b")
    good.check("/many/a", version=1)
    results = good.commit()
    print("committed", [stat_of(one) if hasattr(one, "version") else one for one in results])
    bad = client.transaction()
    bad.delete("/many/a")
    bad.check("/many", version=7)
    bad.create("/many/b", b"")
    print("undone", [type(one).__name__ for one in bad.commit()])
    print("as it was", client.get_children("/many"), client.get("/many/a")[0])
    client.delete("/many", recursive=True)


def lists(hosts, client):
    client.create("/guarded", b"secret", acl=[make_digest_acl("user", "password", all=True)])
    print("list", [(one.perms, one.id.scheme, one.id.id) for one in client.get_acls("/guarded")[0]])
    print("refused", outcome(client.get, "/guarded"), outcome(client.create, "/guarded/x"), client.exists("/guarded") is not None)
    owner = connect(hosts, auth_data=[("digest", "user:password")])
    print("owner", owner.get("/guarded")[0], stat_of(owner.set_acls("/guarded", READ_ACL_UNSAFE + CREATOR_ALL_ACL)))
    print("opened", client.get("/guarded")[0], outcome(client.set, "/guarded", b""), outcome(client.set_acls, "/guarded", []))
    owner.stop()
    print("deleted", client.delete("/guarded"))


def chroot(hosts, client):
    client.create("/root")
    inner = connect(hosts + "/root")
    inner.create("/kafka/brokers", makepath=True)
    print("within", inner.get_children("/"), "without", client.get_children("/root"))
    inner.stop()
    client.delete("/root", recursive=True)


def reattach(hosts):
    first = connect(hosts)
    seen = queue.Queue()
    first.create("/stays", b"", ephemeral=True)
    session, password = first.client_id
    first.exists("/later", watch=lambda event: seen.put((event.type, event.path)))
    second = connect(hosts, client_id=(session, password))
    print("same session", second.client_id[0] == session, stat_of(second.exists("/stays"))[-1])
    second.stop()
    print("ended", wait_gone(hosts, "/stays"))
    try:
        first.stop()
    except KazooException:
        # Its session is over.
        pass


def wait_gone(hosts, path):
    client = connect(hosts)
    deadline = time.monotonic() + PATIENCE
    while client.exists(path) and time.monotonic() < deadline:
        gone = queue.Queue()
        if client.exists(path, watch=gone.put):
            gone.get(timeout=PATIENCE)
    gone = client.exists(path) is None
    client.stop()
    return gone


def words(hosts, client):
    print("ruok", client.command(b"ruok"))
    for word in [b"srvr", b"stat", b"mntr", b"conf", b"cons", b"envi", b"wchs", b"dump"]:
        print(word.decode(), sorted(labels(word, client.command(word))))
    print("version", client.server_version()[:3])


def labels(word, answer):
    """What an answer tells of, without the figures."""
    wanted = {
        b"srvr": ["Zookeeper version: 3.4.6", "Latency min/avg/max", "Received", "Sent", "Zxid", "Mode: standalone", "Node count"],
        b"stat": ["Zookeeper version: 3.4.6", "Clients:", "Latency min/avg/max", "Mode: standalone", "Node count"],
        b"mntr": ["zk_version", "zk_num_alive_connections", "zk_znode_count", "zk_watch_count", "zk_ephemerals_count",
                  "zk_server_state\tstandalone"],
        b"conf": ["tickTime=500", "minSessionTimeout=1000", "maxSessionTimeout=10000"],
        b"cons": ["sid=0x", "queued="],
        b"envi": ["zookeeper.version=3.4.6"],
        b"wchs": ["connections watching", "paths", "Total watches:"],
        b"dump": ["Sessions with Ephemerals"],
    }
    return [one for one in wanted[word] if one in answer]


def main():
    hosts = sys.argv[1]
    client = connect(hosts)
    print("top", sorted(client.get_children("/")))
    nodes(client)
    ephemerals(hosts, client)
    watches(client)
    transactions(client)
    lists(hosts, client)
    chroot(hosts, client)
    reattach(hosts)
    words(hosts, client)
    client.stop()


main()
