// Addresses, routes, rules and lasting neighbours that were configured inside a container: as rtnetlink tells of them at the source, and given back at the
// destination, beside those that the engine gives. What the kernel makes of the others by itself, and what routers announce, is left to it.
#pragma once

#include <string>
#include <string_view>

#include "error.h"
#include "netlink_message.h"
#include "network_links.h"
#include "spec.h"

namespace drover {

/** RTM_NEWADDR: all but those that the container has of the cluster and of the kernel. */
Result<std::string> dumpAddresses(NetlinkSocket& inside, const Spec& spec);
/** RTM_NEWROUTE: all that is configured; empty: what the engine makes, and nothing else. */
Result<std::string> dumpConfiguredRoutes(NetlinkSocket& inside, const Spec& spec);
/** RTM_NEWRULE; empty: the kernel's own, as they are in a new namespace. */
Result<std::string> dumpRules(NetlinkSocket& inside);
/** RTM_NEWNEIGH: permanent ones and those that are answered for. */
Result<std::string> dumpNeighbours(NetlinkSocket& inside);

Status restoreAddresses(NetlinkSocket& inside, std::string_view addresses, const LinkIndices& indices);
/** In place of those that are there; with an empty dump those stay. As for rules. */
Status restoreConfiguredRoutes(NetlinkSocket& inside, std::string_view routes, const LinkIndices& indices);
Status restoreRules(NetlinkSocket& inside, std::string_view rules);
Status restoreNeighbours(NetlinkSocket& inside, std::string_view neighbours, const LinkIndices& indices);

}  // namespace drover
