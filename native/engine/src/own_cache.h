// What starts leave in the kernel's caches: names and inodes of cgroups' files, of /proc and of the disk, which the engine has needed once. They lie
// between those that stay as long as the container, and when they go, as memory is short, they leave pages of the kernel mostly empty: some 40 kB
// per container. So the engine has a cgroup of its own, which their memory is charged to, and every few starts has the kernel empty that: the next
// ones take their room. force_empty of Documentation/admin-guide/cgroup-v1/memory.rst, memory.reclaim of cgroup-v2.rst (Linux 5.19).
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "cgroup.h"

namespace drover {

class OwnCache {
 public:
  explicit OwnCache(const Cgroups& cgroups);

  /** Takes this process, which has no others yet, into a cgroup of its own. Where that can't be, it stays where it is. */
  void begin();
  /** After each start and restore; whether it is time for empty(). */
  bool full() { return inside_ && ++starts_ % startsBetween == 0; }
  /** May take some milliseconds. */
  void empty() const;
  /** Takes the engine and its children back to where it came from, and removes the cgroup. */
  void end();

 private:
  static constexpr unsigned startsBetween = 32;
  /** The memory controller's; there may be none. */
  std::optional<Hierarchy> hierarchy_;
  std::string own_;
  std::string origin_;
  std::atomic<bool> inside_ = false;
  std::atomic<unsigned> starts_ = 0;
};

}  // namespace drover
