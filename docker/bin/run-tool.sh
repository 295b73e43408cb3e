#!/bin/sh
# Runs one of Kafka's own tools, by its class:
#
#   run-tool.sh kafka.admin.TopicCommand --zookeeper 127.0.0.1:2181 --list
#
# Takes the variables of java.sh.
set -eu
. "$(dirname "$0")/java.sh"

LOG_LEVEL=${LOG_LEVEL:-WARN}
run_java "$@"
