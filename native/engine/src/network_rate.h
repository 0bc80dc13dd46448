// The network rate of a container: a token bucket at each end of its veth, so that each end limits what it sends to the other.
// The one inside is the container's own device: its root could take it off again. What comes in can't be raised from inside.
#pragma once

#include "error.h"
#include "spec.h"

namespace drover {

/** Sets the rate of both ends, or takes it away with 0. */
Status limitNetwork(int networkNamespace, const Identity& identity, int64_t bitsPerSecond);

}  // namespace drover
