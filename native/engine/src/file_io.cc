// Small files. See file_io.h.
#include "file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>

#include "unique_fd.h"

namespace drover {

namespace {

Status removeEntries(int directory, dev_t device, const std::string& shown);

Status removeEntry(int parent, const char* name, dev_t device, const std::string& shown) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return errnoError("remove " + shown);
  UniqueFd directory(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return errnoError("open " + shown + " to remove it");
  DROVER_TRY(removeEntries(directory.get(), device, shown));
  if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return errnoError("remove " + shown);
  return {};
}

Status removeEntries(int directory, dev_t device, const std::string& shown) {
  struct stat info;
  if (fstat(directory, &info) != 0) return errnoError("stat " + shown);
  if (info.st_dev != device) return engineError("remove " + shown + ": something is mounted there");
  DIR* stream = fdopendir(dup(directory));
  if (!stream) return errnoError("read " + shown);
  Status status;
  while (dirent* entry = readdir(stream)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    status = removeEntry(directory, entry->d_name, device, shown + "/" + name);
    if (!status.ok()) break;
  }
  closedir(stream);
  return status;
}

}  // namespace

Result<std::string> readFile(const std::string& path, size_t limit) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  std::string content;
  char buffer[8192];
  while (content.size() < limit) {
    ssize_t count = read(fd.get(), buffer, std::min(sizeof buffer, limit - content.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoError("read " + path);
    if (count == 0) break;
    content.append(buffer, static_cast<size_t>(count));
  }
  return content;
}

Status writeKernelFile(const std::string& path, const std::string& content) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  ssize_t count;
  do count = write(fd.get(), content.data(), content.size());
  while (count < 0 && errno == EINTR);
  if (count < 0) return errnoError("write `" + content + "` to " + path);
  return {};
}

Result<UniqueFd> writeAfresh(const std::string& path, const std::string& content) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return errnoError("create " + path);
  size_t done = 0;
  while (done < content.size()) {
    ssize_t count = write(fd.get(), content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoError("write " + path);
    done += static_cast<size_t>(count);
  }
  return fd;
}

Status replaceFile(const std::string& path, const std::string& content, bool durable) {
  const std::string temporary = path + newSuffix;
  DROVER_TRY_ASSIGN(fd, writeAfresh(temporary, content));
  if (durable && fdatasync(fd.get()) != 0) return errnoError("sync " + temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return errnoError("rename " + temporary);
  return {};
}

Status syncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  if (fsync(fd.get()) != 0) return errnoError("sync " + path);
  return {};
}

Status makeDirectory(const std::string& path, unsigned mode) {
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return errnoError("make directory " + path);
  return {};
}

Status makeDirectories(const std::string& path, unsigned mode) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    DROVER_TRY(makeDirectory(path.substr(0, slash), mode));
  return makeDirectory(path, mode);
}

Status removeTree(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return errno == ENOENT ? Status() : Status(errnoError("stat " + path));
  return removeEntry(AT_FDCWD, path.c_str(), info.st_dev, path);
}

}  // namespace drover
