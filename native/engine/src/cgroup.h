// Cgroups: pure v2, and the hybrid of v1 controllers and a cgroup2 without controllers. Found in the engine's own
// /proc/self/mountinfo (the last mounted on a path wins), because engines may sit in private cgroup and mount namespaces.
// Each container has its own cgroup `<parent>/<container>` in every hierarchy but those of v1 in which nothing is asked of it, as each
// takes some 6 kB of the kernel's memory: there all containers are in one, `<parent>/.shared`. In those of which only some ask (cpuset)
// the others are in the parent itself: who asks later is then below the root of its cgroup namespace still, without which CRIU refuses a
// dump. The freezer used is cgroup2's wherever a cgroup2 is mounted (a frozen process can be killed and traced there), else v1's; the
// list of devices is a program on cgroup2 wherever the kernel has that.
#pragma once

#include <sys/types.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "error.h"
#include "spec.h"
#include "sysctl_watch.h"
#include "unique_fd.h"

namespace drover {

struct Hierarchy {
  std::string mountPoint;
  bool unified = false;
  /** v1: controllers (or "systemd" for the named one). v2: those in cgroup.controllers. */
  std::set<std::string> controllers;
};

/** Those in and below this cgroup; 0 stands for one that this process can't see. */
std::set<pid_t> processesIn(const std::string& directory);

/** What the memory controller says of one container. */
struct MemoryReading {
  int64_t usage = 0;
  /** Without what the kernel could drop at once: file pages that nobody has used lately. */
  int64_t workingSet = 0;
  int64_t oomKills = 0;
  /** Somebody waits for memory that there isn't (v1), or is slowed down for having too much (v2). */
  bool starved = false;
};

struct CgroupUsage {
  int64_t memoryBytes = 0;
  int64_t cpuUsec = 0;
  int64_t processes = 0;
};

/** Makes one cgroup below its parent, ready for processes; whether it is new. */
Result<bool> makeCgroup(const Hierarchy& hierarchy, const std::string& parent, const std::string& directory);

class Cgroups {
 public:
  /** Finds the hierarchies and makes the parent in each. */
  static Result<Cgroups> discover(const std::string& parent);

  /** "v2" or "hybrid". */
  const char* mode() const { return pureV2_ ? "v2" : "hybrid"; }
  const std::vector<Hierarchy>& hierarchies() const { return hierarchies_; }
  /** The one with the controller; null: none has it. */
  const Hierarchy* withController(const std::string& controller) const;
  /** Path of its own below each hierarchy's mount point, e.g. /drover/c7. */
  std::string path(const std::string& container) const { return parent_ + "/" + container; }
  /** The directory of the cgroup that the container's processes are in, or below: its own, or one of many containers. */
  std::string place(const Hierarchy& hierarchy, const std::string& container) const;

  /** Makes the container's cgroups with limits; the unified one is delegated to `owner` (the container's root). */
  Status create(const Spec& spec) const;
  /** Opens the device cgroup for these (`c 1:5 rw`) beside what every container may use, and for no others. */
  Status allowDevices(const Spec& spec, const std::vector<std::string>& rules) const;
  /** Whether it may have written any of its sysctls; where that can't be watched it may. */
  bool mayHaveWrittenSysctls(const std::string& container) const;
  /** It was given some that another has written. */
  void noteWrittenSysctls(const std::string& container) const;
  /** Whether this host can hold what such a change asks for. */
  Status canHold(const Limits& from, const Limits& to) const;
  /** Changes the limits of a container that runs; a refusal may leave some of them changed. */
  Status changeLimits(const std::string& container, const Limits& from, const Limits& to) const;
  /**
   * While it stands still to be dumped or restored, what runs in its cgroup is CRIU, which nobody shall wait for: then it has all the processor time
   * there is, whatever its limit and whoever else wants some, and may have more processes. That its limits hold again comes before it runs.
   */
  void liftRunLimits(const std::string& container) const;
  void holdRunLimits(const std::string& container, const Limits& limits) const;
  /** Takes all its processes into its own cgroups, where some are in all containers': it asked for a limit after they were there. */
  Status gather(const std::string& container) const;
  /** The block device (major:minor) that limits of disk traffic are about; empty: there is none. */
  void limitTrafficOf(const std::string& device) { ioDevice_ = device; }
  /**
   * Descriptors of the v1 `tasks` files, the memory controller's last; a single-threaded process that writes "0" to each joins (without
   * the kernel's global lock).
   */
  Result<std::vector<UniqueFd>> openTasks(const std::string& container) const;
  /** Directory for CLONE_INTO_CGROUP: the cgroup2 that `initPid` is in (below the container's), or the container's own; invalid without a cgroup2. */
  UniqueFd openUnified(const std::string& container, pid_t initPid) const;

  /** Absolute path of the container's cgroup in the hierarchy with the freezer, e.g. for CRIU's freeze_cgroup. */
  std::string freezerDirectory(const std::string& container) const;
  bool freezerIsUnified() const { return unified_ != none; }
  /** Returns when all of it is frozen. */
  Status freeze(const std::string& container) const;
  Status thaw(const std::string& container) const;
  bool frozen(const std::string& container) const;
  /** Whether nobody has thawed it since; all of it stands still then: whoever was let go of by a tracer needs a moment to. */
  bool staysFrozen(const std::string& container) const;
  /** As freeze, without waiting for it. */
  Status requestFreeze(const std::string& container) const;

  /**
   * A descriptor that becomes ready (`memoryEventMask`) when the container comes near its limit of memory or is at it; invalid: no memory
   * controller. Also sets what the kernel does at the limit.
   */
  Result<UniqueFd> watchMemory(const std::string& container, const Limits& limits) const;
  uint32_t memoryEventMask() const;
  /** Whether processes at their limit wait for more until told (v1), so that being there is beyond doubt. */
  bool memoryWaits() const;
  MemoryReading readMemory(const std::string& container) const;
  /** Another limit of memory alone, higher than before. */
  Status raiseMemory(const std::string& container, int64_t bytes) const;

  /** SIGKILL to all, frozen ones too, without letting them run in user space. Returns at once; no cgroup is no error. */
  Status killAll(const std::string& container) const;
  /** Every process in the container's cgroups (and below). */
  std::vector<pid_t> processes(const std::string& container) const;
  /** Removes the container's cgroups, waiting a bounded time for dying processes. */
  Status remove(const std::string& container) const;
  /** Removes the cgroups that all containers' are in, or all containers, where they are empty. */
  void removeParent() const;
  CgroupUsage usage(const std::string& container) const;
  /** Whether the process sits in or below the container's cgroup. */
  bool contains(const std::string& container, pid_t pid) const;

 private:
  static constexpr size_t none = static_cast<size_t>(-1);
  /** Who has a cgroup of its own in a hierarchy. */
  enum class Owners { everybody, whoAsks, nobody };
  Owners owners(const Hierarchy& hierarchy) const;
  /** By a program on the cgroup2, or by v1's controller. */
  bool devicesByProgram() const { return devicesByProgram_; }
  bool canFilterDevices() const;
  Status setDevices(const Spec& spec, const std::set<std::string>& rules) const;
  /** Of the container's own cgroup, which there may not be. */
  std::string directory(const Hierarchy& hierarchy, const std::string& container) const;
  std::string sharedDirectory(const Hierarchy& hierarchy) const;
  Status makeOwn(const Hierarchy& hierarchy, const std::string& container, const Limits& from, const Limits& to) const;
  void setRunLimits(const std::string& container, const Limits& limits) const;
  std::vector<Hierarchy> hierarchies_;
  size_t unified_ = none;
  bool devicesByProgram_ = false;
  bool pureV2_ = false;
  std::string parent_;
  std::string ioDevice_;
  /** Shared by copies of this; null: not to be had here. */
  std::shared_ptr<const SysctlWatch> sysctls_;
};

}  // namespace drover
