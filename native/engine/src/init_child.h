// The way of a new init from clone3 to execve: its mounts, root, hostname, privileges, standard files. Runs in the child.
#pragma once

#include <cstdint>
#include <span>

#include "kernel_settings.h"
#include "seccomp_profile.h"

namespace drover {

/** Everything the child needs, made before the fork: it must not allocate. init_spawner.cc packs what its pointers point to. */
struct InitPlan {
  int sync;
  const int* taskFiles;
  int taskFileCount;
  /** How many of them, the last ones, are joined only when all is mounted: see runInit. */
  int lateTaskFileCount;
  const char* hostname;
  /** Without a cgroup2 on the host the container would see that of everybody. */
  bool showCgroups;
  /** Its devices come when its root is in place: it says so. */
  bool awaitsDevices;
  char* const* arguments;
  char* const* environment;
  /** Empty: under the usual one already, as its spawner is. */
  std::span<const sock_filter> seccomp;
  uint64_t lackingCapabilities;
  /** A second, uncovered proc and sysfs, which the kernel wants to see before it lets a container inside mount its own. */
  bool nesting;
  /** It has the host's user namespace: what reaches past it is made read-only. */
  bool privileged;
  /** Within the hard limits that the engine has given it by then. */
  std::span<const ResourceLimit> rlimits;
};

/** Names of the stages that ChildFailure::stage counts. */
extern const char* const initStages[];

/** By `sync` the init gets its root and mounts of what it needs of the host for a while (hostMounts, in that order, lxcfs's where there is one). */
[[noreturn]] void runInit(const InitPlan& plan);

}  // namespace drover
