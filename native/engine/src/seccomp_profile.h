// The system calls that no container may make, as a filter program made once. Each process of a container inherits it;
// it survives checkpoint and restore.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "error.h"

namespace drover {

struct SeccompProgram {
  std::vector<sock_filter> instructions;
};

Result<SeccompProgram> buildSeccompProfile();
/** For a forked child: async-signal-safe. 0 or an errno. */
int installSeccomp(const SeccompProgram& program);

}  // namespace drover
