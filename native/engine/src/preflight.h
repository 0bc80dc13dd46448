// Whether a running container can be moved live, as far as that shows from outside: a look at /proc, nothing is stopped. What is
// found is what CRIU would refuse after the freeze, or, worse, leave behind without a word.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine.h"
#include "unique_fd.h"

namespace drover {

struct Finding {
  /** A name for programs, e.g. IO_URING. */
  const char* reason;
  /** PID inside and command; 0 where it is the container's as a whole. */
  int64_t pid = 0;
  std::string process;
  /** One sentence for a person, e.g. `redis (12) has an io_uring open`. */
  std::string message;
  /** It passes by itself, usually within milliseconds: worth another look. */
  bool passing = false;
  /** AFFINITY: to which it is bound, as cpuset(7) lists them. */
  std::string cpus = {};
};

struct SocketAnswer {
  /** What it is, where CRIU can't take it; empty: it can, or it is gone. */
  std::string refused;
  bool waitingConnections = false;
  bool unreadNetlink = false;
};

SocketAnswer askSocket(int pidfd, int descriptor);

/** {findings, warnings, processes, complete}; a warning is no obstacle. Operation queue only. A container without processes has no findings. */
Result<nlohmann::json> preflight(const Engine& engine, const Container& container);

}  // namespace drover
