// The system calls that no container may make, as a filter program made once, or for a container that has lists of its own at each start
// and command. Each process of a container inherits it; it survives checkpoint and restore.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

#include "error.h"
#include "security.h"

namespace drover {

struct SeccompProgram {
  std::vector<sock_filter> instructions;
};

/** For the system calls of every ABI. A call that is named by nobody's table is refused. */
Result<SeccompProgram> buildSeccompProfile(const Security& security = {});
/** The usual program, or for lists of its own one that is made into `own`. */
Result<const SeccompProgram*> seccompOf(const Security& security, const SeccompProgram& usual, SeccompProgram& own);
/** Whether there are the calls that it names. */
Status checkSyscalls(const Security& security);
/** For a forked child: async-signal-safe. An empty program is none. 0 or an errno. */
int installSeccomp(std::span<const sock_filter> program);

}  // namespace drover
