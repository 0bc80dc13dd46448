// A container's root file system: an overlay of the image (idmapped by the container's user namespace) and the writable
// layer, whose files carry shifted owners, with the layer of what every container has below (root_files). Made in the initial user namespace and held as a detached mount (a descriptor), so
// that no host mount table grows with the number of containers: a start hands it to the container's own mount
// namespace; only a restore attaches it to a path, for the time CRIU needs it there.
// With index=on an upper can be mounted only once at a time; and it must not be written underneath while it is mounted.
#pragma once

#include <string>

#include "container.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

struct Rootfs {
  /** The detached overlay mount; the descriptor can be used with openat2 too. */
  UniqueFd root;
  /** Of no use any more, but closing a mount waits for the kernel: who is in a hurry does so later. */
  UniqueFd image;
  UniqueFd bottom;
  /** Devices and mount points are those of the layer below, where neither the image nor the writable layer has its own. */
  bool hasBottom = false;
};
/** `userNamespace` maps the lower layer. */
Result<Rootfs> openRootfs(const Container& container, int userNamespace);
/** Attaches a detached mount at a directory of the engine's mount namespace, private. */
Status attachMount(int mount, const std::string& path);
/** Detaches this mount from wherever it is. */
void detachThis(int mount);
/** Detaches whatever is mounted at the path; nothing mounted there is no error. */
Status detachMount(const std::string& path);

}  // namespace drover
