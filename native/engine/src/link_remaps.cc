#include "link_remaps.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

#include "criu_images.h"
#include "file_io.h"
#include "open_beneath.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr size_t largestImage = 64 << 20;
constexpr std::string_view prefix = "link_remap.";

std::string keptDirectory(const Container& container) { return container.directory + "/link-remaps"; }
std::string keptFile(const Container& container, size_t index) { return keptDirectory(container) + "/" + std::to_string(index); }
std::string baseName(const std::string& name) { return name.substr(name.rfind('/') + 1); }

bool isRemap(const std::string& name) { return baseName(name).starts_with(prefix); }

/** Names of the remapped files in files.img; most files there are something else. */
Result<std::vector<std::string>> namesInImages(int directory) {
  std::vector<std::string> names;
  // Written only when there are any; spares reading files.img otherwise.
  if (faccessat(directory, "remap-fpath.img", F_OK, 0) != 0) return names;
  DROVER_TRY_ASSIGN(image, readFile("/proc/self/fd/" + std::to_string(directory) + "/files.img", largestImage));
  DROVER_TRY_ASSIGN(files, regularFilesIn(image));
  for (const auto& name : files)
    if (isRemap(name)) names.push_back(name);
  return names;
}

/** The directory of the host that a name lies in: the upper, or a volume's; `start`: where the rest of the name begins. */
std::string treeOf(const Container& container, const std::string& name, size_t& start) {
  start = name.find_first_not_of('/');
  const Record record = container.snapshot();
  for (const Device& device : record.spec.devices) {
    const std::string below = device.path.substr(1) + "/";
    if (!device.exclusive || start == std::string::npos || name.compare(start, below.size(), below) != 0) continue;
    start += below.size();
    return device.source;
  }
  return container.upper();
}

/** The folder of a name in there; no link in between is followed. Invalid, with errno, if there is none. */
UniqueFd openFolder(const Container& container, const std::string& name) {
  size_t start = 0;
  UniqueFd upper(open(treeOf(container, name, start).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  size_t slash = name.rfind('/');
  std::string folder = slash == std::string::npos || slash <= start ? "." : name.substr(start, slash - start);
  return UniqueFd(openBeneath(upper.get(), folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
}

}  // namespace

Result<std::vector<std::string>> keepLinkRemaps(const Container& container, int directory) {
  DROVER_TRY_ASSIGN(names, namesInImages(directory));
  if (names.empty()) return names;
  DROVER_TRY(removeTree(keptDirectory(container)));
  DROVER_TRY(makeDirectory(keptDirectory(container), 0700));
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    UniqueFd folder = openFolder(container, name);
    if (folder.valid() && linkat(folder.get(), baseName(name).c_str(), AT_FDCWD, keptFile(container, kept.size()).c_str(), 0) == 0) {
      kept.push_back(name);
    } else if (errno != ENOENT) {
      return errnoError("keep " + name + " of " + container.id);
    }
    // One that is not in the upper is on a tmpfs of the container: CRIU carries those over itself.
  }
  return kept;
}

Status putBackLinkRemaps(const Container& container, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); i++) {
    UniqueFd folder = openFolder(container, names[i]);
    if (linkat(AT_FDCWD, keptFile(container, i).c_str(), folder.get(), baseName(names[i]).c_str(), 0) != 0 && errno != EEXIST)
      return errnoError("put back " + names[i] + " of " + container.id);
  }
  return names.empty() ? Status() : removeTree(keptDirectory(container));
}

void removeLinkRemaps(const Container& container, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    UniqueFd folder = openFolder(container, name);
    if (folder.valid()) unlinkat(folder.get(), baseName(name).c_str(), 0);
  }
}

}  // namespace drover
