#!/bin/bash
# The inside of a laboratory host, run by host-holder.sh in the host's new namespaces.
# usage: host-setup.sh NAME CGROUP_DIRECTORY...   (the directories as the machine sees them, for leaving them again)
# Mounts every cgroup hierarchy of the machine afresh, so that the host sees its own cgroup as root, the way a machine does.
set -eu
name=$1
shift
hierarchies=$(awk '$(NF-2) ~ /^cgroup2?$/ { print $5, $(NF-2), $NF }' /proc/self/mountinfo)
links=$(find /sys/fs/cgroup -maxdepth 1 -type l -printf '%f %l\n' 2>/dev/null || true)

# The processes of a host live in a leaf, since cgroup v2 allows none beside controllers that children use.
for directory in "$@"; do echo $$ >"$directory/daemons/cgroup.procs"; done

umount -l /sys
mount -t sysfs sysfs /sys
case $hierarchies in
"/sys/fs/cgroup cgroup2 "*) ;;
*) mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup ;;
esac
while read -r path type options; do
  mkdir -p "$path"
  if [ "$type" = cgroup2 ]; then
    mount -t cgroup2 cgroup2 "$path"
    for controller in $(cat "$path/cgroup.controllers"); do
      echo "+$controller" >"$path/cgroup.subtree_control" 2>/dev/null || true
    done
  else
    only=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|relatime|noprefix|release_agent=.*|clone_children|xattr' | paste -sd,)
    case $only in *name=*) only=none,$only ;; esac
    mount -t cgroup -o "$only" cgroup "$path"
  fi
done <<<"$hierarchies"
while read -r link target; do [ -z "$link" ] || ln -sfn "$target" "/sys/fs/cgroup/$link"; done <<<"$links"
awk '$5 ~ /^\/run\// { print $5 }' /proc/self/mountinfo | tac | while read -r path; do umount -l "$path" || true; done
mount -t tmpfs -o mode=755,nosuid,nodev run /run
mkdir -m 700 /run/drover
ip link set lo up
echo ready
exec -a "$name" sleep infinity
