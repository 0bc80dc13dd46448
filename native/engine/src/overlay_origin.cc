#include "overlay_origin.h"

#include <cerrno>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/xattr.h>

namespace drover {
namespace {

constexpr int maximumOpenDirectories = 32;

/** `nlink` belongs to the index of the other host's work directory, `origin` to its lower layer. */
int dropOne(const char* path, const struct stat* status, int, FTW*) {
  if (!S_ISDIR(status->st_mode) && !S_ISREG(status->st_mode)) return 0;
  for (const char* name : {"trusted.overlay.origin", "trusted.overlay.nlink"}) {
    if (lremovexattr(path, name) != 0 && errno != ENODATA && errno != ENOTSUP) return -1;
  }
  return 0;
}

}  // namespace

Status dropOverlayOrigins(const std::string& upper) {
  // The root of an upper that was ever mounted has the note: if the copy lacks it, it was made without all of them, and the walk
  // (in the blackout) is spared.
  if (lgetxattr(upper.c_str(), "trusted.overlay.origin", nullptr, 0) < 0 && errno == ENODATA) return {};
  errno = 0;
  if (nftw(upper.c_str(), dropOne, maximumOpenDirectories, FTW_PHYS | FTW_MOUNT) == 0) return {};
  return errnoError("remove the other host's overlay notes below " + upper);
}

}  // namespace drover
