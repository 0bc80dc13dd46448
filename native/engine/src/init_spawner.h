// Forks the inits. The engine has threads, a table of descriptors and memory that grow with its containers; a fork copies all of it, and
// then the engine takes a page fault for each page that it writes to. So small processes that were forked before all that do it, with
// CLONE_PARENT: the inits are the engine's children all the same. A clone waits for the kernel's network configuration most of the time, so
// there is one for each start that can be under way. They end with the engine; when one is killed, the next start makes another. They see
// nothing of the host's files (empty_namespace.h).
//
// They are under the usual system call filter themselves, which refuses nothing that an init needs on its way, and the inits inherit it:
// a filter of its own would cost each container 7 kB of the kernel’s memory and its start a compilation. One spawner has none, for
// inits with lists of their own.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

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

  /** So many of them, and the one without a filter, while the engine is still small. */
  Status begin(size_t processes);
  /** A child in these namespaces and this cgroup2 directory (-1: the engine's) that runs the plan; without a filter in it, under the usual one. Thread-safe. */
  Result<pid_t> spawn(const InitPlan& plan, uint64_t namespaces, int cgroupDirectory);

 private:
  struct Process {
    bool filtered = true;
    pid_t pid = 0;
    UniqueFd socket;
  };

  Status start(Process& process) const;
  static void end(Process& process);
  /** Waits for one that nobody uses. */
  Process take(bool filtered);
  void giveBack(Process process);
  Result<pid_t> ask(Process& process, msghdr& message, const std::string& text) const;

  const SeccompProgram seccomp_;
  UniqueFd mounts_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<Process> idle_;
};

}  // namespace drover
