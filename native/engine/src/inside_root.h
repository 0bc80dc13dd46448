// The root file system of a container, opened from outside for a moment: of a running one through its init, with every mount it
// has made; of a stopped one as a fresh overlay. The container owns every name in it, so paths are resolved by openat2 with
// RESOLVE_IN_ROOT (a link leads to the same place as it does inside, never out) and without magic links.
#pragma once

#include <string>

#include "engine.h"
#include "error.h"
#include "unique_fd.h"
#include "within_root.h"

namespace drover {

/** Operation queue only. Refuses with BUSY one that is being moved: what was written then would be lost. */
Result<UniqueFd> openInsideRoot(const Container& container);
/** While it lives this thread makes files as that user (of the host), still with all of root's capabilities. */
class ActingAs {
 public:
  ActingAs(uid_t uid, gid_t gid);
  ~ActingAs();
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
};

}  // namespace drover
