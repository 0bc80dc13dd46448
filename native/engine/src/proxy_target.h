// What a proxy connects to: an address in the network of a container, or a socket in its file system. Nothing of the container is
// held between two connections, so that a proxy keeps no namespace and no mount alive.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "error.h"
#include "proxy_address.h"
#include "unique_fd.h"

namespace drover {

struct ProxyTarget {
  /** Its init, told from a later process of that pid by its start. */
  pid_t init = 0;
  uint64_t startTime = 0;
  ProxyAddress address;
};

/** A socket that doesn't block and is being connected there: it can be written to when it is, or has an error. */
Result<UniqueFd> connectInside(const ProxyTarget& target);

}  // namespace drover
