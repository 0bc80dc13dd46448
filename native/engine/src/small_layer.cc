// See small_layer.h; what the file looks like: packed_layer.h.
#include "small_layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "attributes.h"
#include "file_io.h"
#include "open_beneath.h"
#include "packed_layer.h"
#include "unique_fd.h"

namespace drover {
namespace {

/** Beyond either of them tar is no dearer; an agent asks for far less. */
constexpr size_t mostBytes = 1 << 20;
constexpr size_t leastPiece = 512;
constexpr size_t mostPiece = 64 << 10;
constexpr size_t blockBytes = 4096;
/** Descriptors at a time. */
constexpr size_t mostUnsynced = 64;
/** The container may run, and make a link where there was none. */
constexpr uint64_t inside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

using Field = PackedEntry::Field;

std::string parentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string nameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/** A path for calls that take no descriptor of a directory; its last part is not followed. */
std::string procPath(int directory, const std::string& name) { return "/proc/self/fd/" + std::to_string(directory) + "/" + name; }

bool isGone(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV || error == ENXIO; }

class Packer {
 public:
  explicit Packer(int root) : root_(root) {}
  const std::string& text() const { return out_; }

  /** False: too much. */
  Result<bool> packAll() {
    DROVER_TRY(pack(root_, ".", "."));
    std::vector<std::string> pending{"."};
    while (!pending.empty()) {
      const std::string path = std::move(pending.back());
      pending.pop_back();
      const int fd = openBeneath(root_, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, inside);
      if (fd < 0 && isGone(errno)) continue;
      std::unique_ptr<DIR, int (*)(DIR*)> directory(fd < 0 ? nullptr : fdopendir(fd), closedir);
      if (!directory) return errnoError("list " + path);
      while (const dirent* each = readdir(directory.get())) {
        const std::string name = each->d_name;
        if (name == "." || name == "..") continue;
        const std::string child = path == "." ? name : path + "/" + name;
        DROVER_TRY_ASSIGN(isDirectory, pack(fd, name, child));
        if (isDirectory) pending.push_back(child);
        if (tooMuch_ || entries_ > mostPackedEntries || out_.size() > mostPackedBytes) return false;
      }
    }
    return true;
  }

 private:
  /** Whether it is a directory. */
  Result<bool> pack(int directory, const std::string& name, const std::string& path) {
    struct stat status;
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return skipped(path);
    PackedEntry entry{.path = path};
    std::string& content = entry.content;
    UniqueFd file;
    if (S_ISREG(status.st_mode)) {
      file = UniqueFd(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC));
      if (!file.valid() || fstat(file.get(), &status) != 0) return skipped(path);
      // Something else by now.
      if (!S_ISREG(status.st_mode)) return false;
    }
    if (const uint64_t first = otherNameOf(status); first != 0) {
      entry.head[Field::otherName] = first;
      append(status, std::move(entry));
      return false;
    }
    if (file.valid() && status.st_size > 0) {
      DROVER_TRY(readAll(file.get(), path, status.st_size, content));
      if (tooMuch_) return false;
      entry.head[Field::hasHoles] = lseek(file.get(), 0, SEEK_HOLE) < static_cast<off_t>(content.size());
    }
    if (S_ISLNK(status.st_mode)) {
      content.resize(PATH_MAX);
      const ssize_t length = readlinkat(directory, name.c_str(), content.data(), content.size());
      if (length < 0) return skipped(path);
      content.resize(static_cast<size_t>(length));
    }
    entry.attributes = attributesOf(procPath(directory, name));
    append(status, std::move(entry));
    return S_ISDIR(status.st_mode);
  }

  static Result<bool> skipped(const std::string& path) {
    if (isGone(errno)) return false;
    return errnoError("look at " + path);
  }

  /** 0: this is its first. */
  uint64_t otherNameOf(const struct stat& status) {
    if (S_ISDIR(status.st_mode) || status.st_nlink < 2) return 0;
    auto [place, isNew] = firstNames_.try_emplace(status.st_ino, entries_ + 1);
    return isNew ? 0 : place->second;
  }

  /** `expected`: pieces as large as need be, since each byte of them is cleared first. */
  Status readAll(int file, const std::string& path, off_t expected, std::string& content) {
    constexpr unsigned written = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (sync_file_range(file, 0, 0, written) != 0 && fdatasync(file) != 0) return errnoError("write back " + path);
    for (;;) {
      const size_t filled = content.size();
      content.resize(filled + std::clamp<size_t>(static_cast<size_t>(expected) - std::min(filled, static_cast<size_t>(expected)) + 1, leastPiece, mostPiece));
      const ssize_t count = pread(file, content.data() + filled, content.size() - filled, static_cast<off_t>(filled));
      if (count < 0 && errno != EINTR) return errnoError("read " + path);
      content.resize(filled + static_cast<size_t>(std::max<ssize_t>(count, 0)));
      if (count == 0) break;
      tooMuch_ = bytes_ + content.size() > mostBytes;
      if (tooMuch_) break;
    }
    bytes_ += content.size();
    return {};
  }

  void append(const struct stat& status, PackedEntry entry) {
    ++entries_;
    entry.head[Field::mode] = status.st_mode;
    entry.head[Field::uid] = status.st_uid;
    entry.head[Field::gid] = status.st_gid;
    entry.head[Field::seconds] = static_cast<uint64_t>(status.st_mtim.tv_sec);
    entry.head[Field::nanoseconds] = static_cast<uint64_t>(status.st_mtim.tv_nsec);
    entry.head[Field::device] = status.st_rdev;
    appendPackedEntry(out_, entry);
  }

  int root_;
  std::string out_ = emptyPackedLayer();
  size_t entries_ = 0, bytes_ = 0;
  bool tooMuch_ = false;
  /** By inode, the number of the entry. */
  std::unordered_map<ino_t, uint64_t> firstNames_;
};

class Unpacker {
 public:
  explicit Unpacker(int root) : root_(root) {}

  Status make(PackedEntry entry) {
    const uint32_t type = entry.head[Field::mode] & S_IFMT;
    UniqueFd parent;
    DROVER_TRY(openParent(entry.path, parent));
    const std::string name = nameOf(entry.path);
    paths_.push_back(entry.path);
    if (entry.head[Field::otherName] != 0) return link(entry, parent.get(), name);
    if (type == S_IFDIR) {
      if (entry.path != "." && mkdirat(parent.get(), name.c_str(), 0700) != 0) return errnoError("make " + entry.path);
      // With what comes into it its times change.
      entry.content.clear();
      directories_.push_back(std::move(entry));
      return {};
    }
    DROVER_TRY(makeOther(entry, type, parent.get(), name));
    return dress(entry, parent.get(), name);
  }

  /** The last ones first: whoever may not enter a directory any more needn't. Then all that was written goes to the disk. */
  Status finish() {
    for (; !directories_.empty(); directories_.pop_back()) {
      const PackedEntry& entry = directories_.back();
      UniqueFd parent;
      DROVER_TRY(openParent(entry.path, parent));
      DROVER_TRY(dress(entry, parent.get(), nameOf(entry.path)));
    }
    DROVER_TRY(syncFiles());
    return fsync(root_) == 0 ? Status() : Status(errnoError("write the names of a layer to the disk"));
  }

 private:
  Status openParent(const std::string& path, UniqueFd& parent) {
    parent = UniqueFd(openBeneath(root_, parentOf(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, inside));
    if (!parent.valid()) return errnoError("open the directory of " + path);
    return {};
  }

  Status link(const PackedEntry& entry, int directory, const std::string& name) {
    const std::string& first = paths_[entry.head[Field::otherName] - 1];
    UniqueFd parent;
    DROVER_TRY(openParent(first, parent));
    if (linkat(parent.get(), nameOf(first).c_str(), directory, name.c_str(), 0) != 0) return errnoError("link " + entry.path + " to " + first);
    return {};
  }

  Status makeOther(const PackedEntry& entry, uint32_t type, int directory, const std::string& name) {
    if (type == S_IFREG) return makeFile(entry, directory, name);
    if (type == S_IFLNK) return symlinkat(entry.content.c_str(), directory, name.c_str()) == 0 ? Status() : Status(errnoError("make " + entry.path));
    if (mknodat(directory, name.c_str(), type | 0600, static_cast<dev_t>(entry.head[Field::device])) != 0) return errnoError("make " + entry.path);
    return {};
  }

  Status makeFile(const PackedEntry& entry, int directory, const std::string& name) {
    UniqueFd file(openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return errnoError("make " + entry.path);
    const std::string_view content = entry.content;
    for (size_t at = 0; at < content.size();) {
      const std::string_view block = content.substr(at, entry.head[Field::hasHoles] ? blockBytes : content.size());
      if (entry.head[Field::hasHoles] && block.find_first_not_of('\0') == std::string_view::npos) {
        at += block.size();
        continue;
      }
      const ssize_t count = pwrite(file.get(), block.data(), block.size(), static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errnoError("write " + entry.path);
      at += static_cast<size_t>(count);
    }
    if (entry.head[Field::hasHoles] && ftruncate(file.get(), static_cast<off_t>(content.size())) != 0) return errnoError("write " + entry.path);
    if (content.empty()) return {};
    // It begins, and is waited for at the end, when owners and modes have been given as well.
    (void)sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    if (unsynced_.size() >= mostUnsynced) DROVER_TRY(syncFiles());
    unsynced_.push_back(std::move(file));
    return {};
  }

  Status syncFiles() {
    for (const UniqueFd& file : unsynced_)
      if (fdatasync(file.get()) != 0) return errnoError("write a layer to the disk");
    unsynced_.clear();
    return {};
  }

  /** In this order: each of them may take something away from those that follow it. */
  static Status dress(const PackedEntry& entry, int directory, const std::string& name) {
    const auto& head = entry.head;
    const std::string what = "give " + entry.path + " its ";
    if (fchownat(directory, name.c_str(), static_cast<uid_t>(head[Field::uid]), static_cast<gid_t>(head[Field::gid]), AT_SYMLINK_NOFOLLOW) != 0) return errnoError(what + "owner");
    const std::string path = procPath(directory, name);
    for (const auto& [key, value] : entry.attributes)
      if (lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0) != 0) return errnoError(what + key);
    if (!S_ISLNK(head[Field::mode]) && fchmodat(directory, name.c_str(), head[Field::mode] & 07777, 0) != 0) return errnoError(what + "mode");
    const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(head[Field::seconds]), static_cast<long>(head[Field::nanoseconds])}};
    if (utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return errnoError(what + "time");
    return {};
  }

  int root_;
  std::vector<std::string> paths_;
  std::vector<PackedEntry> directories_;
  std::vector<UniqueFd> unsynced_;
};

Result<UniqueFd> openRoot(const std::string& root) {
  UniqueFd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + root);
  return fd;
}

}  // namespace

Result<bool> packLayer(const std::string& root, const std::string& file) {
  DROVER_TRY_ASSIGN(fd, openRoot(root));
  Packer packer(fd.get());
  DROVER_TRY_ASSIGN(whole, packer.packAll());
  if (!whole) return false;
  DROVER_TRY(replaceFile(file, packer.text(), false));
  return true;
}

Status unpackLayer(const std::string& root, const std::string& file) {
  DROVER_TRY_ASSIGN(text, readFile(file, mostPackedBytes + 1));
  DROVER_TRY_ASSIGN(fd, openRoot(root));
  // All of it before anything is made.
  DROVER_TRY_ASSIGN(entries, parsePackedLayer(text));
  Unpacker unpacker(fd.get());
  for (PackedEntry& entry : entries) DROVER_TRY(unpacker.make(std::move(entry)));
  return unpacker.finish();
}

}  // namespace drover
