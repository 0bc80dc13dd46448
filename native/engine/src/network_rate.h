// The network rate of a container: a token bucket at each end of its veth, so that each end limits what it sends to the other.
// The one inside is the container's own device: its root could take it off again. What comes in can't be raised from inside.
#pragma once

#include "error.h"
#include "spec.h"

namespace drover {

/** Sets the rates of a link just made; without any there is nothing to do. */
Status limitNetwork(int networkNamespace, const Identity& identity, const Limits& limits);
/** Sets those that are other than before, or takes them away. */
Status changeNetworkLimit(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits);

}  // namespace drover
