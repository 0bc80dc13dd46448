// Makes an upper layer that was copied from another host mountable. Overlayfs notes in `trusted.overlay.origin` which lower file
// an upper one was copied up from, as a file handle; handles don't travel: with index=on and nfs_export=on the mount then fails
// (ESTALE), or a directory silently stops merging with its lower one. Without the note overlayfs writes a new one.
#pragma once

#include <string>

#include "error.h"

namespace drover {

/**
 * Removes the notes of a whole tree that is not mounted as an upper now. Never follows links out of it. A copy
 * made without them (`tar --xattrs-exclude=trusted.overlay.origin`) costs nothing. */
Status dropOverlayOrigins(const std::string& upper);

}  // namespace drover
