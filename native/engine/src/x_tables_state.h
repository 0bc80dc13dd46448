// Legacy iptables and ip6tables of a container's network namespace, carried to the host that it moves to. The kernel hands out a table
// as one block and takes it back as one (ip_tables and ip6_tables, through options of a raw socket), so nothing is translated: all
// that an old distribution's iptables can say comes along, rules' and policies' counters too. What matches and targets
// remember themselves (xt_recent's addresses, what a limit or a quota has left) begins anew, as after iptables-restore.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "error.h"

namespace drover {

/** Legacy iptables' and ip6tables' tables of the process's network namespace, as the kernel has them; empty: there are none. */
Result<std::string> dumpXTables(int networkNamespace, pid_t process);
/** Into a namespace without rules. Each table is replaced as a whole; after a failure those before it are there. */
Status loadXTables(int networkNamespace, std::string_view dump);

}  // namespace drover
