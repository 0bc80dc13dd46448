// See exchange_file.h; rename(2), RENAME_EXCHANGE, and sync_file_range(2).
#include "exchange_file.h"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include "file_io.h"

namespace drover {

Result<Exchanged> exchangeFile(const std::string& path, const std::string& content) {
  const std::string temporary = path + newSuffix;
  UniqueFd replaced(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  DROVER_TRY_ASSIGN(fd, writeAfresh(temporary, content));
  // A file system that can't exchange, or no file there yet.
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) (void)unlink(temporary.c_str());
  else if (rename(temporary.c_str(), path.c_str()) != 0) return errnoError("rename " + temporary);
  return Exchanged{.file = std::move(fd), .replaced = std::move(replaced)};
}

void finishExchange(Exchanged& exchanged) {
  (void)sync_file_range(exchanged.file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  exchanged.file.reset();
  exchanged.replaced.reset();
}

}  // namespace drover
