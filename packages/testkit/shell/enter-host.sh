#!/bin/bash
# Runs a program inside a laboratory host, as the same process: enters the host's cgroups, then its namespaces.
# usage: enter-host.sh HOLDER_PID full|network CGROUP_DIRECTORY... -- PROGRAM ARGUMENT...
set -eu
holder=$1 kind=$2
shift 2
while [ "$1" != -- ]; do
  echo $$ >"$1/cgroup.procs"
  shift
done
shift
case $kind in
network) exec nsenter --target "$holder" --net -- "$@" ;;
full) exec nsenter --target "$holder" --net --mount --cgroup -- "$@" ;;
esac
