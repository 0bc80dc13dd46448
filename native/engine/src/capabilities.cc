// Capability bounding set. See capabilities.h.
#include "capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <cerrno>

namespace drover {

namespace {
// As LXC does. CAP_SYS_BOOT stays: reboot(2) in an own pid namespace only ends that namespace.
constexpr int dropped[] = {CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_TIME, CAP_MAC_ADMIN, CAP_MAC_OVERRIDE, CAP_WAKE_ALARM, CAP_SYSLOG};
}  // namespace

int dropCapabilities() {
  for (int capability : dropped)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return errno;
  return 0;
}

}  // namespace drover
