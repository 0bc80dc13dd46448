// Capability bounding set. See capabilities.h.
#include "capabilities.h"

#include <sys/prctl.h>

#include <cerrno>

namespace drover {

int dropCapabilities(uint64_t mask) {
  for (int capability = 0; capability < 64; ++capability)
    // EINVAL: this kernel has fewer.
    if (mask >> capability & 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return errno;
  return 0;
}

}  // namespace drover
