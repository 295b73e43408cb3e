#!/bin/sh
# Starts one ZooKeeper server in the foreground.
#
#   DATA_DIR              where it keeps its data               (/var/lib/zookeeper)
#   CLIENT_PORT           the port for clients                  (2181)
#   CLIENT_ADDRESS        the address to listen on              (0.0.0.0)
#   TICK_TIME             tickTime in ms; sessions last 2 to 20 ticks  (500)
#   MYID, SERVERS         for an ensemble: this server's number, and every server
#                         separated by spaces, as 1=host:2888:3888 2=host:…
#   ZOOKEEPER_PROPERTIES  further properties, one a line; they win over all others
#
# and the variables of java.sh.
set -eu
. "$(dirname "$0")/java.sh"

data=${DATA_DIR:-/var/lib/zookeeper}
mkdir -p "$data"
properties=$data/zookeeper.properties
{
  echo "dataDir=$data"
  echo "clientPort=${CLIENT_PORT:-2181}"
  echo "clientPortAddress=${CLIENT_ADDRESS:-0.0.0.0}"
  echo "tickTime=${TICK_TIME:-500}"
  echo "initLimit=20"
  echo "syncLimit=10"
  echo "maxClientCnxns=0"
  for server in ${SERVERS:-}; do echo "server.$server"; done
  printf '%s\n' "${ZOOKEEPER_PROPERTIES:-}"
} >"$properties"
if [ -n "${MYID:-}" ]; then echo "$MYID" >"$data/myid"; fi

run_java org.apache.zookeeper.server.quorum.QuorumPeerMain "$properties"
