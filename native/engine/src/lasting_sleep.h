// Who is in uninterruptible sleep and stays there. Whoever waits for a disk or for a lock of the kernel's is so for a moment, which says
// nothing; a vfork waits so until its child has exec'ed or ended. A sleep is the same while no switch of context was counted (proc(5)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/** What a sleep lasts at least that is told of: a disk at work keeps nobody that long, as a rule. */
constexpr std::chrono::milliseconds lastingSleep{100};

class LastingSleeps {
 public:
  /** `status` is the text of /proc/PID/status as it just was. One that doesn't sleep so is forgotten at once. */
  void notice(pid_t pid, std::string_view status);
  /**
   * The texts of /proc/PID/status of those noticed that have slept on for `lastingSleep`, in the order in which they were noticed. Waits
   * for that at most that long, and no longer than until none is left.
   */
  std::vector<std::string> find();

 private:
  using Clock = std::chrono::steady_clock;
  struct Sleeper {
    pid_t pid;
    int64_t switches;
    Clock::time_point noticed;
  };
  std::vector<Sleeper> sleepers_;
};

}  // namespace drover
