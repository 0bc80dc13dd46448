// Runs single system calls in another process, as it: all its threads are stopped by ptrace for some tens of microseconds, the call
// is made at the `syscall` instruction of its vDSO with its seccomp filters suspended, and everything is put back. What the threads
// were doing (a blocking call, too) goes on as after a signal that they do not see. Only where the registers are known: x86-64.
#pragma once

#include <sys/types.h>

#include <vector>

#include "error.h"

namespace drover {

class StoppedProcess {
 public:
  /**
   * TIMED_OUT when not all of its threads stop within a tenth of a second. Such a one is traced on and would stop later, until the calling thread
   * ends: call it from one that does.
   */
  static Result<StoppedProcess> stop(pid_t pid);
  StoppedProcess(StoppedProcess&& other) noexcept
      : pid_(other.pid_), threads_(std::move(other.threads_)), at_(other.at_) {
    other.threads_.clear();
  }
  StoppedProcess& operator=(StoppedProcess&&) = delete;
  /** Lets all threads go on. */
  ~StoppedProcess();

  /** What the call gives: ≥ 0, or -errno. */
  Result<long> call(long number, long first = 0, long second = 0, long third = 0);

 private:
  explicit StoppedProcess(pid_t pid) : pid_(pid) {}
  Status seizeAll();
  /** Those that don't stand yet. */
  Result<std::vector<pid_t>> interruptOthers() const;
  pid_t pid_;
  std::vector<pid_t> threads_;
  /** Address of a `syscall` instruction in it. */
  unsigned long at_ = 0;
};

}  // namespace drover
