#!/usr/bin/env bash
# Cleans up after a process that cannot do so itself any more: when its stdin
# ends, which happens however its parent dies, it kills the processes and
# removes the directories that were entrusted to it.
#
# Reads one order a line:
#
#   process PID      kill it at the end
#   forget PID       it has ended; its number may belong to somebody else now
#   directory PATH   remove it at the end

# It is needed most when everybody else is being told to stop.
trap '' INT TERM HUP

processes=()
directories=()
while read -r order what; do
  case $order in
    process) processes[what]=$what ;;
    forget) unset "processes[what]" ;;
    directory) directories+=("$what") ;;
  esac
done

if [ ${#processes[@]} -gt 0 ]; then kill -KILL "${processes[@]}" 2>/dev/null; fi

# A process that is just dying may still create a file in a directory that is
# being removed.
for directory in "${directories[@]}"; do
  for _ in {1..50}; do
    rm -rf -- "$directory" 2>/dev/null && break
    sleep 0.1
  done
done
