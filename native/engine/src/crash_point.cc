// The injection switch of the crash and fault tests. See crash_point.h.
#include "crash_point.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace drover {
namespace {

/** A test that died doesn't hold an engine for ever. */
constexpr time_t holdDeadlineS = 60;
constexpr long pollNs = 2'000'000;

time_t monotonicS() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

void holdWhileArmed(const char* directory, const char* step) {
  const std::string armed = std::string(directory) + "/" + step;
  const std::string reached = armed + ".reached";
  if (rename(armed.c_str(), reached.c_str()) != 0) return;
  const time_t until = monotonicS() + holdDeadlineS;
  const timespec pause{0, pollNs};
  while (monotonicS() < until && access(reached.c_str(), F_OK) == 0) nanosleep(&pause, nullptr);
}

}  // namespace

void crashPoint(const char* step) {
  static const char* const wanted = getenv("DROVER_CRASH_AT");
  static const char* const directory = getenv("DROVER_FAULT_DIRECTORY");
  if (wanted && strcmp(wanted, step) == 0) raise(SIGKILL);
  if (directory) holdWhileArmed(directory, step);
}

}  // namespace drover
