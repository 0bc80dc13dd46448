// Tracked connections of a container's network namespace (nf_conntrack), carried to the host that it moves to: a firewall inside that
// lets in only what belongs to a connection, and NAT inside, go on with those that there are. Bytes and packets counted so far,
// security labels and the time of the beginning stay behind: ctnetlink does not take them.
#pragma once

#include <string>
#include <string_view>

#include "error.h"

namespace drover {

/** Tracked connections of a network namespace, as messages that make them anew; empty: there are none. */
Result<std::string> dumpConntrack(int networkNamespace);
/** After the rules, and before packets come; how many the kernel did not take. One that is there already is not touched. */
Result<int> loadConntrack(int networkNamespace, std::string_view dump);

}  // namespace drover
