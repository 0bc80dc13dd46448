// What the kernel tells of a tracked connection (ctnetlink) made into the message that makes the same connection anew, in the empty
// table of another host. It is not the same message: some of what the kernel tells it does not take back, flags of TCP
// count only with a mask, and translated addresses have to be asked for as if a rule of NAT did.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/** Of one message of a dump of connections or of expectations; nothing: there is none to be made of it. No effects; fuzzed. */
std::optional<std::string> conntrackRenewal(std::string_view told);

/** The messages of a dump, each of which makes a connection or an expectation; nothing: it is not a dump. No effects; fuzzed. */
std::optional<std::vector<std::string_view>> splitConntrack(std::string_view dump);

}  // namespace drover
