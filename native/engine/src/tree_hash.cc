#include "tree_hash.h"

#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <optional>
#include <unordered_map>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "attributes.h"
#include "open_beneath.h"

namespace drover {
namespace {

/** What the agent can hold of it takes more. */
constexpr size_t mostEntries = 2'000'000;
constexpr size_t blockBytes = 4096;
constexpr size_t readBytes = 256 << 10;
/** Larger files are compared piece by piece; beyond the last size the list of pieces is too long. tree-index.ts has the same numbers. */
constexpr int64_t pieceBytes = 64 << 10;
constexpr int64_t leastInPieces = 256 << 10;
constexpr int64_t mostInPieces = 64LL << 30;
/** Time stamps advance by the kernel's tick, 4 or 10 ms; within two of them a change may leave no trace. */
constexpr int64_t racyNs = 20'000'000;
/** Nothing in there follows a link: the container may run, and make one where there was none. */
constexpr uint64_t inside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
bool isGone(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV; }

class Sum {
 public:
  Sum() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~Sum() { XXH3_freeState(state_); }
  Sum(const Sum&) = delete;
  Sum& operator=(const Sum&) = delete;
  void add(const void* data, size_t length) { XXH3_128bits_update(state_, data, length); }
  void add(uint64_t number) { add(&number, sizeof number); }
  /** With its length, so that two texts in a row are not one. */
  void add(const std::string& text) {
    add(text.size());
    add(text.data(), text.size());
  }
  XXH128_hash_t value() const { return XXH3_128bits_digest(state_); }

 private:
  XXH3_state_t* state_;
};

std::string parentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string nameOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/** A path for calls that take no descriptor of a directory; its last part is not followed. */
std::string procPath(int directory, const std::string& name) { return "/proc/self/fd/" + std::to_string(directory) + "/" + name; }

void addAttributes(Sum& sum, const std::string& path) {
  for (const auto& [name, value] : attributesOf(path)) {
    sum.add(name);
    sum.add(value);
  }
}

int64_t nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

bool allZero(const char* block, size_t length) { return block[0] == 0 && memcmp(block, block + 1, length - 1) == 0; }

}  // namespace

/** A file that is being read, maybe over several calls. Zeros count as holes, wherever the file system keeps them. */
class TreeHash::Reader {
 public:
  Reader(std::string path, UniqueFd file, char* buffer, std::vector<Number>* pieces) : path_(std::move(path)), file_(std::move(file)), buffer_(buffer), pieces_(pieces) {}
  const std::string& path() const { return path_; }

  /** Bytes read; 0 at its end. */
  Result<int64_t> next() {
    off_t data = lseek(file_.get(), at_, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      endPiece();
      return int64_t{0};
    }
    // Whole blocks, from where data begins: the same on every file system.
    if (data > at_) at_ = data - data % static_cast<off_t>(blockBytes);
    size_t filled = 0;
    while (filled < readBytes) {
      ssize_t count = pread(file_.get(), buffer_ + filled, readBytes - filled, at_ + static_cast<off_t>(filled));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errnoError("read " + path_);
      if (count == 0) break;
      filled += static_cast<size_t>(count);
    }
    for (size_t from = 0; from < filled; from += blockBytes) {
      const size_t length = std::min(blockBytes, filled - from);
      if (allZero(buffer_ + from, length)) {
        afterHole_ = true;
        continue;
      }
      if (afterHole_) sum_.add(static_cast<uint64_t>(at_) + from);
      afterHole_ = false;
      sum_.add(buffer_ + from, length);
      if (pieces_) addToPiece(at_ + static_cast<int64_t>(from), buffer_ + from, length);
    }
    at_ += static_cast<off_t>(filled);
    if (filled == 0) endPiece();
    return static_cast<int64_t>(filled);
  }
  XXH128_hash_t value() const { return sum_.value(); }

 private:
  void addToPiece(int64_t at, const char* block, size_t length) {
    const int64_t piece = at / pieceBytes;
    if (piece != piece_) endPiece();
    if (!pieceSum_) pieceSum_.emplace();
    piece_ = piece;
    pieceSum_->add(static_cast<uint64_t>(at % pieceBytes));
    pieceSum_->add(block, length);
  }
  void endPiece() {
    if (!pieceSum_) return;
    const XXH128_hash_t value = pieceSum_->value();
    // It may have grown since its pieces were counted.
    if (static_cast<size_t>(piece_) < pieces_->size()) (*pieces_)[static_cast<size_t>(piece_)] = {value.low64, value.high64};
    pieceSum_.reset();
  }

  std::string path_;
  UniqueFd file_;
  char* buffer_;
  std::vector<Number>* pieces_;
  std::optional<Sum> pieceSum_;
  int64_t piece_ = -1;
  off_t at_ = 0;
  bool afterHole_ = true;
  Sum sum_;
};

TreeHash::TreeHash(UniqueFd root) : root_(std::move(root)), buffer_(std::make_unique_for_overwrite<char[]>(readBytes)) {}
TreeHash::~TreeHash() = default;

Result<std::unique_ptr<TreeHash>> TreeHash::begin(const std::string& root, const TreeHash* before, bool detailed) {
  UniqueFd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + root);
  std::unique_ptr<TreeHash> tree(new TreeHash(std::move(fd)));
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tree->beganNs_ = nanoseconds(now);
  tree->detailed_ = detailed;
  DROVER_TRY(tree->look(".", detailed));
  DROVER_TRY(tree->list(".", true));
  if (before) tree->takeOver(*before);
  return tree;
}

void TreeHash::takeOver(const TreeHash& before) {
  for (auto& [path, entry] : entries_) {
    if (entry.known || entry.details) continue;
    auto found = before.entries_.find(path);
    if (found == before.entries_.end()) continue;
    const Entry& was = found->second;
    const bool same = was.isFile && was.known && was.inode == entry.inode && was.size == entry.size && was.changedNs == entry.changedNs;
    if (!same || was.changedNs > before.beganNs_ - racyNs) continue;
    entry.content = was.content;
    entry.known = true;
  }
}

Status TreeHash::look(const std::string& path, bool detailed) {
  const std::string parent = parentOf(path);
  UniqueFd directory(openBeneath(root_.get(), parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, inside));
  const std::string name = nameOf(path);
  struct stat status;
  if (!directory.valid() || fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (!isGone(errno)) return errnoError("look at " + path);
    forget(path);
    return {};
  }
  Entry entry;
  entry.inode = status.st_ino;
  entry.isFile = S_ISREG(status.st_mode);
  entry.isDirectory = S_ISDIR(status.st_mode);
  entry.hasOtherNames = !entry.isDirectory && !S_ISSOCK(status.st_mode) && status.st_nlink > 1;
  entry.size = entry.isFile ? status.st_size : 0;
  entry.known = !entry.isFile || status.st_size == 0;
  Sum sum;
  for (uint64_t fact : {uint64_t{status.st_mode}, uint64_t{status.st_uid}, uint64_t{status.st_gid}}) sum.add(fact);
  if (!S_ISSOCK(status.st_mode)) {
    sum.add(static_cast<uint64_t>(status.st_mtim.tv_sec));
    sum.add(static_cast<uint64_t>(status.st_mtim.tv_nsec));
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) sum.add(status.st_rdev);
    if (entry.isFile) sum.add(static_cast<uint64_t>(status.st_size));
    const std::string full = procPath(directory.get(), name);
    if (S_ISLNK(status.st_mode)) sum.add(attribute([&](char* to, size_t room) -> ssize_t {
        // Cut off without a word when it does not fit.
        if (to == nullptr) return 4096;
        ssize_t length = readlink(full.c_str(), to, room);
        if (length < static_cast<ssize_t>(room)) return length;
        errno = ERANGE;
        return -1;
      }));
    addAttributes(sum, full);
    if (detailed) {
      entry.details = std::make_shared<Details>();
      Sum attributes;
      for (uint64_t fact : {uint64_t{status.st_mode}, uint64_t{status.st_uid}, uint64_t{status.st_gid}}) attributes.add(fact);
      addAttributes(attributes, full);
      const XXH128_hash_t value = attributes.value();
      entry.details->attributes = {value.low64, value.high64};
      // A write would take these away from it.
      const bool privileged = (status.st_mode & (S_ISUID | S_ISGID)) != 0 || lgetxattr(full.c_str(), "security.capability", nullptr, 0) >= 0;
      if (entry.isFile && !entry.hasOtherNames && !privileged && entry.size >= leastInPieces && entry.size <= mostInPieces)
        entry.details->pieces.resize(static_cast<size_t>((entry.size + pieceBytes - 1) / pieceBytes));
    }
  }
  entry.changedNs = nanoseconds(status.st_ctim);
  const XXH128_hash_t value = sum.value();
  entry.facts = {value.low64, value.high64};
  auto [place, isNew] = entries_.try_emplace(path);
  if (isNew && entries_.size() > mostEntries) return Error{"LIMIT_REACHED", "hash the tree: it has over " + std::to_string(mostEntries) + " entries"};
  if (reader_ && reader_->path() == path) reader_.reset();
  const bool wasDirectory = place->second.isDirectory;
  if (wasDirectory && !entry.isDirectory) {
    forget(path);
    place = entries_.try_emplace(path).first;
  }
  place->second = entry;
  return {};
}

Status TreeHash::list(const std::string& top, bool everything) {
  std::vector<std::string> pending{top};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    int fd = openBeneath(root_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, inside);
    if (fd < 0 && isGone(errno)) continue;
    DIR* opened = fd < 0 ? nullptr : fdopendir(fd);
    if (!opened) return errnoError("list " + path);
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opened, closedir);
    const std::string prefix = path == "." ? "" : path + "/";
    std::vector<std::string> names;
    while (const dirent* each = readdir(directory.get()))
      if (strcmp(each->d_name, ".") != 0 && strcmp(each->d_name, "..") != 0) names.emplace_back(each->d_name);
    std::sort(names.begin(), names.end());
    // What was known in there and is gone.
    std::vector<std::string> gone;
    for (auto known = entries_.lower_bound(prefix); known != entries_.end() && known->first.starts_with(prefix);) {
      const std::string rest = known->first.substr(prefix.size());
      if (const size_t slash = rest.find('/'); slash != std::string::npos) {
        // Past all that is below it: `0` follows `/`.
        known = entries_.lower_bound(prefix + rest.substr(0, slash) + "0");
        continue;
      }
      if (known->first != "." && !std::binary_search(names.begin(), names.end(), rest)) gone.push_back(known->first);
      ++known;
    }
    for (const std::string& each : gone) forget(each);
    for (const std::string& name : names) {
      const std::string child = prefix + name;
      const bool isNew = !entries_.contains(child);
      if (!everything && !isNew) continue;
      DROVER_TRY(look(child, detailed_));
      auto found = entries_.find(child);
      if (found != entries_.end() && found->second.isDirectory) pending.push_back(child);
    }
  }
  return {};
}

void TreeHash::forget(const std::string& path) {
  if (reader_ && (reader_->path() == path || reader_->path().starts_with(path + "/"))) reader_.reset();
  entries_.erase(path);
  entries_.erase(entries_.lower_bound(path + "/"), entries_.lower_bound(path + "0"));
}

Status TreeHash::update(const std::vector<std::string>& paths, bool detailed) {
  for (const std::string& path : paths) {
    DROVER_TRY(look(path, detailed || detailed_));
    if (detailed) inDetail_.insert(path);
    auto found = entries_.find(path);
    if (found != entries_.end() && found->second.isDirectory) DROVER_TRY(list(path, false));
  }
  return {};
}

Status TreeHash::setTimes(const std::vector<FileTime>& times) const {
  for (const auto& [path, seconds, nanoseconds] : times) {
    UniqueFd file(openBeneath(root_.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC, inside));
    const timespec both[] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    if (!file.valid() || futimens(file.get(), both) != 0) return errnoError("set the time of " + path);
  }
  return {};
}

Result<int64_t> TreeHash::read(int64_t mostBytes) {
  int64_t left = 0, done = 0;
  for (auto& [path, entry] : entries_) {
    if (entry.known) continue;
    if (done >= mostBytes) {
      left += entry.size;
      continue;
    }
    if (reader_ && reader_->path() != path) reader_.reset();
    if (!reader_) {
      UniqueFd file(openBeneath(root_.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC, inside));
      struct stat status;
      const bool readable = file.valid() && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
      if (!readable && file.valid() == false && !isGone(errno)) return errnoError("open " + path);
      // It has changed since it was looked at: it will be named.
      if (!readable) {
        entry.known = true;
        continue;
      }
      const bool inPieces = entry.details && !entry.details->pieces.empty();
      reader_ = std::make_unique<Reader>(path, std::move(file), buffer_.get(), inPieces ? &entry.details->pieces : nullptr);
    }
    for (;;) {
      DROVER_TRY_ASSIGN(count, reader_->next());
      done += count;
      if (count == 0) {
        const XXH128_hash_t value = reader_->value();
        entry.content = {value.low64, value.high64};
        entry.known = true;
        reader_.reset();
        break;
      }
      if (done >= mostBytes) {
        left += entry.size;
        break;
      }
    }
  }
  return left;
}

std::string TreeHash::digest() const {
  Sum sum;
  std::unordered_map<uint64_t, uint64_t> firstNames;
  uint64_t place = 0;
  for (const auto& [path, entry] : entries_) {
    sum.add(path);
    sum.add(&entry.facts, sizeof entry.facts);
    sum.add(&entry.content, sizeof entry.content);
    // Numbers of inodes differ between hosts; which names share one does not.
    sum.add(entry.hasOtherNames ? firstNames.try_emplace(entry.inode, place).first->second : place);
    place++;
  }
  const XXH128_hash_t value = sum.value();
  char text[33];
  snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(value.high64), static_cast<unsigned long long>(value.low64));
  return text;
}

int64_t TreeHash::bytes() const {
  int64_t total = 0;
  for (const auto& [path, entry] : entries_) total += entry.size;
  return total;
}

}  // namespace drover
