// lxcfs, the file system that answers /proc/meminfo and its like with the numbers of the caller's cgroup instead of the host's. One
// process per host, started by the engine in a session of its own, so that it outlives it: the containers hold mounts of it. The
// next engine finds it by its note. When it ends by itself, it is started again and every running container gets new mounts.
// Without lxcfs on the host containers see the host's numbers; nothing else changes.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "error.h"
#include "event_loop.h"
#include "unique_fd.h"

namespace drover {

/**
 * The files of which a container sees its own, below lxcfs's root and its own root alike. Each is a mount that a move has to make
 * again (about 0.4 ms of blackout), so only what people and programs look at most; the uptime comes from the time namespace.
 */
constexpr std::string_view viewFiles[] = {"proc/meminfo", "proc/cpuinfo", "proc/stat", "proc/loadavg", "proc/swaps", "sys/devices/system/cpu/online"};

class OwnView {
 public:
  OwnView(const std::string& stateDirectory, EventLoop& loop);

  /** Adopts or starts lxcfs; on a worker, as it waits for the mount. `restarted` is called on the loop's thread whenever another one is up. */
  void begin(std::function<void()> restarted);
  /** Where lxcfs is mounted; empty when it is not (the reason then in `reason`). Waits a bounded time for `begin`. */
  std::string root();
  /** The same by what has been noticed: spares the question to lxcfs, for who is mended afterwards where it has just ended. */
  std::string noticedRoot();
  std::string reason() const;
  /** Ends lxcfs: only when no container is left that looks through it. */
  void end();

 private:
  Status start();
  bool adopt();
  Status watch(pid_t pid);
  void ended();
  void settle(const Status& status);

  /** Notes and log. */
  const std::string directory_;
  /** In /run, where a container's root may look: CRIU opens the files as that. */
  const std::string mountPoint_;
  EventLoop& loop_;
  std::function<void()> restarted_;
  mutable std::mutex mutex_;
  std::condition_variable settled_;
  bool begun_ = false;
  bool serving_ = false;
  bool ending_ = false;
  std::string reason_ = "not started yet";
  std::shared_ptr<UniqueFd> process_;
  int failures_ = 0;
};

}  // namespace drover
