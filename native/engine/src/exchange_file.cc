// See exchange_file.h; rename(2), RENAME_EXCHANGE, and sync_file_range(2).
#include "exchange_file.h"

#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_io.h"

namespace drover {

Result<Exchanged> exchangeFile(const std::string& path, const std::string& content) {
  const std::string temporary = path + newSuffix;
  UniqueFd replaced(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  // Where there is one already, that is on the disk, and what is replaced now need not be. A file system without hard links has none.
  (void)link(path.c_str(), (path + keptSuffix).c_str());
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

Result<UniqueFd> syncExchanged(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return errnoError("open " + path);
  if (fdatasync(fd.get()) != 0) return errnoError("sync " + path);
  return fd;
}

bool dropKept(const std::string& path, const UniqueFd& synced) {
  struct stat now, then;
  if (fstat(synced.get(), &then) != 0 || lstat(path.c_str(), &now) != 0 || now.st_ino != then.st_ino) return false;
  return unlink((path + keptSuffix).c_str()) == 0 || errno == ENOENT;
}

bool hasKept(const std::string& path) { return access((path + keptSuffix).c_str(), F_OK) == 0; }

void dropUnfinished(const std::string& path) { (void)unlink((path + newSuffix).c_str()); }

Status restoreKept(const std::string& path) {
  if (rename((path + keptSuffix).c_str(), path.c_str()) != 0) return errnoError("restore " + path);
  return {};
}

}  // namespace drover
