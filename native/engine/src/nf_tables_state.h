// nftables of a container's network namespace, carried to the host that it moves to: as the kernel's own messages, so that nothing is translated, and what
// iptables-nft has made comes along as well. Rules get other handles there. A table that a program owns (`flags owner`) has no owner then.
#pragma once

#include <string>
#include <string_view>

#include "error.h"

namespace drover {

/** All of it, as messages that make it anew; empty: there is none. */
Result<std::string> dumpNfTables(int networkNamespace);
/** Into a namespace that has none. All or nothing. */
Status loadNfTables(int networkNamespace, std::string_view dump);

}  // namespace drover
