// Crash-only: what must not happen ends the process with a reason; the restarted member rejoins.
#pragma once

#include <cstdio>
#include <cstdlib>

[[noreturn]] inline void die(const char *what, const char *why) {
  std::fprintf(stderr, "drover raft: %s: %s\n", what, why);
  std::abort();
}
