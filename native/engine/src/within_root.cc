// See within_root.h; openat2(2).
#include "within_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "open_beneath.h"

namespace drover {

namespace {

/** Not in linux/magic.h everywhere. */
constexpr int64_t zfsMagic = 0x2fc12fc1;
constexpr int64_t erofsMagic = 0xe0f5e1e2;
constexpr int64_t xfsMagic = 0x58465342;
constexpr int64_t bcachefsMagic = 0xca451a4e;
constexpr int64_t fileMagics[] = {OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, RAMFS_MAGIC,   EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                                  SQUASHFS_MAGIC,        erofsMagic,  xfsMagic,      zfsMagic,         bcachefsMagic};

}  // namespace

UniqueFd openWithin(int root, const std::string& path, int flags) {
  int more = flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  return UniqueFd(openBeneath(root, path.c_str(), static_cast<uint64_t>(flags | more), RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
}

bool holdsFiles(int descriptor) {
  struct statfs info;
  if (fstatfs(descriptor, &info) != 0) return false;
  for (int64_t magic : fileMagics)
    if (static_cast<uint32_t>(info.f_type) == static_cast<uint32_t>(magic)) return true;
  return false;
}

Result<std::string> readWithin(int root, const std::string& path, size_t limit) {
  UniqueFd there = openWithin(root, path, O_PATH);
  struct stat info;
  if (!there.valid()) return Error{errno == ENOENT || errno == ENOTDIR ? "FILE_NOT_FOUND" : "ENGINE_FAILED", "read " + path + ": " + strerror(errno)};
  if (fstat(there.get(), &info) != 0 || !S_ISREG(info.st_mode) || !holdsFiles(there.get()))
    return Error{"WRONG_STATE", "read " + path + ": it is no regular file"};
  UniqueFd file(open(("/proc/self/fd/" + std::to_string(there.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errnoError("read " + path);
  std::string content(std::min(limit, static_cast<size_t>(info.st_size)), '\0');
  size_t done = 0;
  while (done < content.size()) {
    ssize_t count = pread(file.get(), content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoError("read " + path);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  content.resize(done);
  return content;
}

}  // namespace drover
