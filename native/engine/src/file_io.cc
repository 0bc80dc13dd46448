// Small files. See file_io.h.
#include "file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>

#include "unique_fd.h"

namespace drover {

namespace {

/** Levels of a tree that are gone through one in the other, each with two descriptors. */
constexpr int mostLevels = 64;

/** A container makes its tree as deep as it likes: what lies too deep is moved to the top, and removed from there. */
class TreeRemoval {
 public:
  TreeRemoval(int top, dev_t device) : top_(top), device_(device) {}

  Status removeAll(const std::string& shown) {
    do {
      movedUp_ = false;
      DROVER_TRY(removeEntries(top_, shown, 1));
    } while (movedUp_);
    return {};
  }

 private:
  Status removeEntries(int directory, const std::string& shown, int level) {
    struct stat info;
    if (fstat(directory, &info) != 0) return errnoError("stat " + shown);
    if (info.st_dev != device_) return engineError("remove " + shown + ": something is mounted there");
    // Each pass from the start, for what was moved to the top since.
    UniqueFd own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::unique_ptr<DIR, int (*)(DIR*)> stream(own.valid() ? fdopendir(own.get()) : nullptr, closedir);
    if (!stream) return errnoError("read " + shown);
    own.release();
    while (const dirent* entry = readdir(stream.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") DROVER_TRY(removeEntry(directory, name, shown + "/" + name, level));
    }
    return {};
  }

  Status removeEntry(int parent, const std::string& name, const std::string& shown, int level) {
    if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return errnoError("remove " + shown);
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno == EBUSY) return engineError("remove " + shown + ": something is mounted there");
    if (level == mostLevels) return moveUp(parent, name, shown);
    UniqueFd directory(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid()) return errnoError("open " + shown + " to remove it");
    DROVER_TRY(removeEntries(directory.get(), shown, level + 1));
    // What was moved up out of it left nothing behind.
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return errnoError("remove " + shown);
    return {};
  }

  /** Past names that are taken: by what was moved up before, or by the container. */
  Status moveUp(int parent, const std::string& name, const std::string& shown) {
    for (;;) {
      if (renameat(parent, name.c_str(), top_, (".too-deep-" + std::to_string(moves_++)).c_str()) == 0) break;
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) return errnoError("move " + shown + " up to remove it");
    }
    movedUp_ = true;
    return {};
  }

  const int top_;
  const dev_t device_;
  uint64_t moves_ = 0;
  bool movedUp_ = false;
};

}  // namespace

Result<std::string> readFile(const std::string& path, size_t limit) { return readFileAt(AT_FDCWD, path, limit); }

Result<std::string> readFileAt(int directory, const std::string& path, size_t limit) {
  UniqueFd fd(openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
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
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return errnoError("remove " + path);
  UniqueFd top(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!top.valid() || fstat(top.get(), &info) != 0) return errnoError("open " + path + " to remove it");
  DROVER_TRY(TreeRemoval(top.get(), info.st_dev).removeAll(path));
  if (rmdir(path.c_str()) != 0 && errno != ENOENT) return errnoError("remove " + path);
  return {};
}

}  // namespace drover
