// Reads the console log. See console.h.
#include "console.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base64.h"
#include "json_io.h"
#include "open_beneath.h"

namespace drover {

namespace {

Json part(const std::string& data, int64_t offset, int64_t size) {
  return {{"dataBase64", toBase64(data)}, {"offset", offset}, {"nextOffset", offset + static_cast<int64_t>(data.size())}, {"size", size}};
}

}  // namespace

Result<Json> readConsole(const Container& container, int64_t offset, int64_t limit) {
  UniqueFd upper(open(container.upper().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!upper.valid()) return errnoError("open the writable layer of " + container.id);
  UniqueFd file(openBeneath(upper.get(), "var/log/console.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                            RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
  struct stat info = {};
  // Not there (never started, removed inside) or not a file any more: an empty log.
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return part("", 0, 0);
  int64_t size = info.st_size;
  int64_t start = offset < 0 ? std::max<int64_t>(0, size + offset) : std::min(offset, size);
  std::string data(static_cast<size_t>(std::min(limit, size - start)), '\0');
  ssize_t count = pread(file.get(), data.data(), data.size(), start);
  if (count < 0) return errnoError("read the console log of " + container.id);
  data.resize(static_cast<size_t>(count));
  return part(data, start, size);
}

}  // namespace drover
