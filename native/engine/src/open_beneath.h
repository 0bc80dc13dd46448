// openat2(2) with a resolution that stays below a directory. A rename or mount anywhere at the same moment makes the kernel unsure that
// no `..` or link led out: it says EAGAIN, and means to be asked again. Async-signal-safe.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace drover {

/** A descriptor, or -1 and errno. `resolve`: RESOLVE_IN_ROOT or RESOLVE_BENEATH, and what else is wanted. */
inline int openBeneath(int directory, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode = 0) {
  open_how how = {};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  constexpr int mostTries = 100;
  for (int tries = 1;; ++tries) {
    long opened = syscall(SYS_openat2, directory, path, &how, sizeof how);
    if (opened >= 0 || errno != EAGAIN || tries == mostTries) return static_cast<int>(opened);
  }
}

}  // namespace drover
