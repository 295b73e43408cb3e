#!/bin/sh
# Starts one Kafka broker in the foreground.
#
#   DATA_DIR           where it keeps its logs                  (/var/lib/kafka)
#   BROKER_ID          broker.id                                (0)
#   PORT               the port to listen on and to advertise   (9092)
#   HOST               the address to listen on                 (0.0.0.0)
#   ADVERTISED_HOST    the name by which clients reach it       (127.0.0.1)
#   ZOOKEEPER_CONNECT  servers and chroot                       (127.0.0.1:2181)
#   KAFKA_PROPERTIES   further properties, one a line; they win over all others
#
# and the variables of java.sh.
set -eu
. "$(dirname "$0")/java.sh"

data=${DATA_DIR:-/var/lib/kafka}
host=${HOST:-0.0.0.0}
port=${PORT:-9092}
mkdir -p "$data"
properties=$data/server.properties

# 0.8 knows no listeners; from 0.9 on they replace host.name and port.
listen_on() {
  for jar in "${JARS:-/opt/kafka/jars}"/kafka_*-0.8.*.jar; do
    if [ -e "$jar" ]; then
      echo "host.name=$host"
      echo "port=$port"
      return
    fi
  done
  echo "listeners=PLAINTEXT://$host:$port"
}

{
  listen_on
  echo "advertised.host.name=${ADVERTISED_HOST:-127.0.0.1}"
  echo "advertised.port=$port"
  echo "broker.id=${BROKER_ID:-0}"
  echo "zookeeper.connect=${ZOOKEEPER_CONNECT:-127.0.0.1:2181}"
  echo "log.dirs=$data/logs"
  echo "delete.topic.enable=true"
  printf '%s\n' "${KAFKA_PROPERTIES:-}"
} >"$properties"

run_java kafka.Kafka "$properties"
