// See disk_replace.h; renameat2(2), RENAME_EXCHANGE.
#include "disk_replace.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_point.h"
#include "file_io.h"
#include "json_io.h"
#include "mounts.h"
#include "overlay_origin.h"
#include "owner_shift.h"

namespace drover {
namespace {

constexpr const char* note = "replacing";

/** Overlay's own notes (its index and the ties of the upper to the lower layer) are of the tree that was mounted: they go together. */
Status forgetOverlay(Container& container) {
  DROVER_TRY(removeTree(container.work()));
  DROVER_TRY(makeDirectory(container.work(), 0700));
  return dropOverlayOrigins(container.upper());
}

Status finish(Engine& engine, Container& container, const std::string& old) {
  DROVER_TRY(forgetOverlay(container));
  DROVER_TRY(removeTree(old));
  crashPoint("replace:removed");
  return engine.update(container, [](Record& record) { record.extra.erase(note); });
}

bool isChild(const Container& container, const std::string& directory) {
  std::string parent = container.directory + "/";
  if (!directory.starts_with(parent)) return false;
  std::string name = directory.substr(parent.size());
  return !name.empty() && name.find('/') == std::string::npos && name[0] != '.' && name != "upper" && name != "work" && name != "rootfs" && name != "lower" && name != "snapshots";
}

}  // namespace

Status replaceDisk(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, uint32_t uidBase) {
  const Record before = container->snapshot();
  if (before.initPid != 0 || (before.state != State::created && before.state != State::stopped))
    return Error{"WRONG_STATE", "replace the disk of " + container->id + ": it is " + stateName(before.state) + ", must be created or stopped"};
  if (!isChild(*container, directory)) return badRequest("field `directory`: " + directory + " is no new directory of the container’s own, " + container->directory);
  struct stat status;
  if (lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return badRequest("field `directory`: " + directory + " is not a directory");
  DROVER_TRY(detachMount(container->rootfs()));
  DROVER_TRY(dropOverlayOrigins(directory));
  DROVER_TRY(shiftOwners(directory, uidBase, before.spec.owner()));
  crashPoint("replace:prepared");
  // Else a power cut could leave the disks exchanged and nothing that says so.
  DROVER_TRY(engine.updateDurably(*container, [&](Record& record) { record.extra[note] = directory; }));
  crashPoint("replace:recorded");
  if (renameat2(AT_FDCWD, directory.c_str(), AT_FDCWD, container->upper().c_str(), RENAME_EXCHANGE) != 0)
    return errnoError("exchange " + directory + " and " + container->upper());
  crashPoint("replace:exchanged");
  return finish(engine, *container, directory);
}

Status recoverReplace(Engine& engine, Container& container) {
  const Record record = container.snapshot();
  if (!record.extra.contains(note)) return {};
  // Exchanged or not: either way the upper is a whole disk, and what lies beside it is not wanted any more.
  return finish(engine, container, record.extra.value(note, std::string(container.directory + "/incoming")));
}

}  // namespace drover
