// User namespaces and their id maps: 0…65535 inside is uidBase… outside, for uids and gids alike.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "error.h"
#include "spec.h"
#include "unique_fd.h"

namespace drover {

/** Writes uid_map and gid_map of a process that sits in a new, still unmapped user namespace. */
Status writeIdMaps(pid_t pid, uint32_t uidBase);
/** The user namespace of a process. */
Result<UniqueFd> openUserNamespace(pid_t pid);
/** A user namespace without a process, only good for idmapped mounts (one short-lived child makes it). */
Result<UniqueFd> makeUserNamespace(uint32_t uidBase);
/** For idmapped mounts of a container that runs, or is about to: its own user namespace, or one like it where it has none of its own. */
Result<UniqueFd> ownersOf(const Spec& spec, pid_t pid);

}  // namespace drover
