// Gives a tree from one container's range of uids and gids to another's: owners, and the ids that ACLs and file capabilities hold.
// What lies outside the old range is left alone; as ranges never overlap, doing it again changes nothing.
#pragma once

#include <cstdint>
#include <string>

#include "error.h"

namespace drover {

/** Both are first ids of ranges of `uidRange`. Nothing may run on the tree. */
Status shiftOwners(const std::string& tree, uint32_t from, uint32_t to);

}  // namespace drover
