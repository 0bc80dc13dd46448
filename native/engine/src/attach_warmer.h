// Moving a process between cgroups takes a kernel-wide lock whose first taker waits for an RCU grace period (10 ms and more); for a
// while after that it costs some microseconds. CRIU moves every restored task while the container stands still. So a thread
// takes the lock from the beginning of a restore on, while CRIU still reads its images, by moving the engine to where it is.
// See cgroup_attach_lock and rcu_sync_enter in the kernel.
#pragma once

#include <stop_token>
#include <string>
#include <thread>

#include "unique_fd.h"

namespace drover {

class AttachWarmer {
 public:
  AttachWarmer();
  /** Does not wait for the thread, which ends within milliseconds: the container stands still. */
  ~AttachWarmer() { stop_.request_stop(); }
  AttachWarmer(const AttachWarmer&) = delete;
  AttachWarmer& operator=(const AttachWarmer&) = delete;

 private:
  std::stop_source stop_;
};

}  // namespace drover
