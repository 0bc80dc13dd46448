#!/bin/bash
# Holds one laboratory host: a process that sits in new network, mount and cgroup namespaces and does nothing else.
# usage: host-holder.sh NAME full|network CGROUP_DIRECTORY...
# First it enters the given cgroups (one per hierarchy), so that they become the roots that the host sees; `full` then gives
# the host a /sys, every cgroup hierarchy and a tmpfs /run of its own. Prints `ready` when all is done.
set -eu
name=$1 kind=$2
shift 2
for directory in "$@"; do echo $$ >"$directory/cgroup.procs"; done
case $kind in
network) exec unshare --net -- bash -c 'ip link set lo up && echo ready && exec -a "$0" sleep infinity' "$name" ;;
full) exec unshare --net --mount --cgroup --propagation private -- bash "${0%/*}/host-setup.sh" "$name" "$@" ;;
esac
