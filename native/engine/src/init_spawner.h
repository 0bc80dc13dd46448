// Forks the inits. The engine has threads, a table of descriptors and memory that grow with its containers; a fork copies all of it, and
// then the engine takes a page fault for each page that it writes to. So a small process that was forked before all that does it, with
// CLONE_PARENT: the inits are the engine's children all the same. It ends with the engine; when it is killed, the next start makes another.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>

#include "error.h"
#include "init_child.h"
#include "seccomp_profile.h"
#include "unique_fd.h"

namespace drover {

class InitSpawner {
 public:
  explicit InitSpawner(SeccompProgram seccomp) : seccomp_(std::move(seccomp)) {}
  ~InitSpawner();
  InitSpawner(const InitSpawner&) = delete;

  /** While the engine is still small. */
  Status begin();
  /** A child in these namespaces and this cgroup2 directory (-1: the engine's) that runs the plan; its `seccomp` is the spawner's. Thread-safe. */
  Result<pid_t> spawn(const InitPlan& plan, uint64_t namespaces, int cgroupDirectory);

 private:
  Status start();
  void end();

  const SeccompProgram seccomp_;
  std::mutex mutex_;
  UniqueFd socket_;
  pid_t pid_ = 0;
};

}  // namespace drover
