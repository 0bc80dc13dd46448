# Whether this kernel and this user can run containers: each feature is tried, not looked up by version. Sourced by
# deploy/bootstrap. All tries happen in namespaces that end with the one process that made them.

# Prints one line for each thing that is missing; nothing when all is there.
missing_kernel_features() {
  [ "$(uname -s)" = Linux ] || { echo "Linux: this is $(uname -s)"; return; }
  [ "$(id -u)" = 0 ] || { echo "root: containers need it, and this is $(id -un 2>/dev/null || id -u)"; return; }
  unshare --mount --net --uts --ipc --pid --fork true 2>/dev/null ||
    { echo "the right to make namespaces (CAP_SYS_ADMIN): is this itself a container?"; return; }
  unshare --user true 2>/dev/null ||
    echo "user namespaces: $(kernel_limit user/max_user_namespaces) allowed, but none can be made; CONFIG_USER_NS, sysctl user.max_user_namespaces; never in a chroot"
  unshare --cgroup true 2>/dev/null || echo "cgroup namespaces: CONFIG_CGROUPS"
  missing_cgroups
  grep -q '^Seccomp:' /proc/self/status || echo "seccomp: CONFIG_SECCOMP_FILTER"
  unshare --mount --net bash -c "$namespace_tries" tries 2>/dev/null || echo "namespaces: the tries inside them ended early"
}

kernel_limit() { cat "/proc/sys/$1" 2>/dev/null || echo none; }

# The freezer, memory, cpu and pids, in whichever layout.
missing_cgroups() {
  if [ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" = cgroup2fs ]; then
    local name
    for name in cpu memory pids; do
      grep -qw "$name" /sys/fs/cgroup/cgroup.controllers || echo "cgroup v2 controller $name: not available at the root"
    done
  else
    local name
    for name in cpu memory pids freezer; do
      grep -Eq "cgroup [^ ]*\b$name\b" /proc/self/mounts || echo "cgroup v1 controller $name: not mounted below /sys/fs/cgroup"
    done
  fi
}

# Runs in a private mount and network namespace, so all that it makes is gone when it ends.
# shellcheck disable=SC2016
readonly namespace_tries='
  mount --make-rprivate / && mount -t tmpfs none /mnt || { echo "tmpfs: cannot be mounted"; exit 0; }
  mkdir /mnt/lower /mnt/upper /mnt/work /mnt/root /mnt/queue /mnt/pts
  mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work,index=on,nfs_export=on none /mnt/root ||
    echo "overlayfs with index=on: CONFIG_OVERLAY_FS (modprobe overlay)"
  mount -t mqueue none /mnt/queue || echo "POSIX message queues: CONFIG_POSIX_MQUEUE"
  mount -t devpts -o newinstance none /mnt/pts || echo "devpts: CONFIG_UNIX98_PTYS"
  if command -v ip >/dev/null; then
    ip link add drprobe0 type veth peer name drprobe1 || echo "veth: CONFIG_VETH (modprobe veth)"
    ip link add drprobe2 type bridge || echo "bridge: CONFIG_BRIDGE (modprobe bridge)"
  else
    echo "ip: package iproute2"
  fi
  exit 0'
