// The variables below /proc/sys/net of a container's network namespace that are other than in a new one: read at the source, written at the destination.
// There are some four hundred, of which mostly none was changed; the kernel doesn't tell which.
#pragma once

#include <string>
#include <string_view>

#include "error.h"

namespace drover {

/** How they are in a new namespace, for which one is made once: 25 ms that no container should wait for. */
void learnNetworkSysctls();
/** `links` is what dumpLinks gave. Empty: all are as in a new namespace. */
Result<std::string> dumpNetworkSysctls(int networkNamespace, std::string_view links);
/** What this host doesn't have is passed over. */
Status restoreNetworkSysctls(int networkNamespace, std::string_view sysctls);

}  // namespace drover
