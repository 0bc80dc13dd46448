// Bridges, and what the host's end of a link is on its bridge.
#pragma once

#include <string>
#include <vector>

#include "error.h"

namespace drover {

/** The link is on a bridge: isolated it reaches ports that are not, and none that is. Leaving the bridge ends it. */
Status isolatePort(const std::string& link, bool isolated = true);
/** As isolatePort; one that is on no bridge now is left as it is. */
Status isolatePortIfAny(const std::string& link, bool isolated);

/** One that forwards at once and listens to no groups; up, and without addresses. */
Status createBridge(const std::string& name);
/** A veth pair between two bridges; they forward through it when this returns. */
Status joinBridges(const std::string& upper, const std::string& upperEnd, const std::string& lower, const std::string& lowerEnd);
/** The links of this network namespace that are on a bridge, asked of the kernel, which goes through all. */
Result<std::vector<std::string>> portsOf(const std::string& bridge);
/** All links of this network namespace. */
Result<std::vector<std::string>> allLinks();

/** The bridge of this port knows from now on that the MAC is behind it, as if it had heard it. */
Status learnPort(const std::string& link, const std::string& mac);
/** It knows no longer; unless it knew it elsewhere, or nowhere. */
void forgetPort(const std::string& link, const std::string& mac);

/** Whether firewalls of this host, if there are any, see what bridges forward (br_netfilter). */
bool bridgesAreFiltered();

}  // namespace drover
