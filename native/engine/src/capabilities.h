// The capabilities that the processes of a container can never have; which ones is in security.h.
#pragma once

#include <cstdint>

namespace drover {

/** Takes those of the mask out of the bounding set. For a forked child: async-signal-safe. 0 or an errno. */
int dropCapabilities(uint64_t mask);

}  // namespace drover
