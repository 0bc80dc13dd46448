#include "attach_warmer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>

#include "file_io.h"
#include "unique_fd.h"

namespace drover {
namespace {

/** Shorter than a grace period, after which the lock is cold again. */
constexpr int everyMs = 4;

/** cgroup.procs of the cgroup2 that this process is in, seen from its own cgroup namespace; invalid if it can't be reached. */
UniqueFd openOwnProcs() {
  auto cgroups = readFile("/proc/self/cgroup", 1 << 16);
  if (!cgroups.ok()) return UniqueFd();
  size_t start = ("\n" + cgroups.value()).find("\n0::/");
  if (start == std::string::npos) return UniqueFd();
  std::string own = cgroups.value().substr(start + 3);
  own = own.substr(0, own.find('\n'));
  for (const char* mount : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
    UniqueFd fd(open((mount + own + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (fd.valid()) return fd;
  }
  return UniqueFd();
}

std::mutex warmingMutex;
std::chrono::steady_clock::time_point warmUntil;
bool warming = false;

/** Whether to go on; once it says no, the next call for warmth starts another thread. */
bool goesOn() {
  std::lock_guard lock(warmingMutex);
  return warming = std::chrono::steady_clock::now() < warmUntil;
}

}  // namespace

void keepAttachingWarm(std::chrono::milliseconds duration) {
  std::lock_guard lock(warmingMutex);
  warmUntil = std::max(warmUntil, std::chrono::steady_clock::now() + duration);
  if (warming) return;
  warming = true;
  std::thread([] {
    UniqueFd procs = openOwnProcs();
    while (goesOn()) {
      if (procs.valid()) (void)!write(procs.get(), "0", 1);
      poll(nullptr, 0, everyMs);
    }
  }).detach();
}

}  // namespace drover
