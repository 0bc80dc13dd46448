// nftables of a container's network namespace, carried to the host that it moves to: as the kernel's own messages, so that nothing is translated, and what
// iptables-nft has made comes along as well, with all counters. Not kept: handles (the numbers of `nft -a`), and the owner of a table that a program owns
// (`flags owner`). What limits have left, and what iptables' matches remember (xt_recent's addresses, hashlimit's), begins anew.
#pragma once

#include <string>
#include <string_view>

#include "error.h"

namespace drover {

/** All of nftables in a network namespace, as messages that make it anew; empty: there is none. */
Result<std::string> dumpNfTables(int networkNamespace);
/** In a namespace that has none. All or nothing. */
Status loadNfTables(int networkNamespace, std::string_view dump);

}  // namespace drover
