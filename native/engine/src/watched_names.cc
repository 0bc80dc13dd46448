// See watched_names.h, open_by_handle_at(2), and ovl_obtain_alias and d_obtain_alias of the kernel: a file whose name isn't cached is
// opened without one, and its path then reads `/`.
#include "watched_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "file_io.h"
#include "process_text.h"

namespace drover {
namespace {

using Clock = std::chrono::steady_clock;

/** The container runs on while a name is looked for; a root of a million files takes a few seconds. */
constexpr std::chrono::seconds longestSearch{20};
constexpr size_t largestFdinfo = 4 << 20;
constexpr size_t mostFound = 4096;
constexpr int deepestFolder = 200;
/** Bits of a device number within the kernel (include/linux/kdev_t.h). */
constexpr int kernelMinorBits = 20;

std::string linkOf(const std::string& path) {
  char target[PATH_MAX];
  ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<size_t>(length)) : "";
}

uint64_t kernelNumber(dev_t device) { return (static_cast<uint64_t>(major(device)) << kernelMinorBits) | minor(device); }

/** What the processes watch on the file system of that number, by inode number. */
std::map<uint64_t, WatchMark> watchedFiles(const std::vector<pid_t>& processes, uint64_t device) {
  std::map<uint64_t, WatchMark> files;
  for (pid_t pid : processes) {
    const std::string process = "/proc/" + std::to_string(pid);
    std::error_code error;
    for (std::filesystem::directory_iterator entry(process + "/fd", error), end; !error && entry != end; entry.increment(error)) {
      const std::string kind = linkOf(entry->path());
      if (kind != "anon_inode:inotify" && kind != "anon_inode:[fanotify]") continue;
      auto text = readFile(process + "/fdinfo/" + entry->path().filename().string(), largestFdinfo);
      if (!text.ok()) continue;
      for (auto& mark : parseWatchMarks(text.value()))
        if (mark.device == device) files.emplace(mark.number, std::move(mark));
    }
  }
  return files;
}

UniqueFd openHandle(int root, int type, const std::string& bytes) {
  struct {
    file_handle head;
    char room[MAX_HANDLE_SZ];
  } handle = {};
  if (bytes.empty() || bytes.size() > MAX_HANDLE_SZ) return UniqueFd();
  handle.head.handle_bytes = static_cast<unsigned>(bytes.size());
  handle.head.handle_type = type;
  memcpy(handle.head.f_handle, bytes.data(), bytes.size());
  return UniqueFd(open_by_handle_at(root, &handle.head, O_PATH | O_CLOEXEC));
}

/** A walk through one file system, for files by their numbers. All of it: those of two layers may have the same number. */
class Search {
 public:
  Search(std::set<uint64_t> wanted, dev_t device) : wanted_(std::move(wanted)), missing_(wanted_), device_(device) {}

  void in(UniqueFd folder, int depth = 0) {
    std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(folder.release()), closedir);
    if (!entries) return;
    const int at = dirfd(entries.get());
    while (dirent* entry = readdir(entries.get())) {
      if (Clock::now() > end_) return;
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      struct stat status;
      if (fstatat(at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      const bool isFolder = S_ISDIR(status.st_mode);
      if (isFolder && status.st_dev != device_) continue;
      if (wanted_.contains(status.st_ino) && found.size() < mostFound) {
        found.emplace_back(openat(at, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        missing_.erase(status.st_ino);
      }
      if (!isFolder || depth == deepestFolder) continue;
      UniqueFd below(openat(at, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (below.valid()) in(std::move(below), depth + 1);
    }
  }
  size_t missing() const { return missing_.size(); }

  std::vector<UniqueFd> found;

 private:
  const std::set<uint64_t> wanted_;
  std::set<uint64_t> missing_;
  const dev_t device_;
  const Clock::time_point end_ = Clock::now() + longestSearch;
};

}  // namespace

Result<std::vector<UniqueFd>> holdWatchedNames(pid_t init, const std::vector<pid_t>& processes) {
  std::vector<UniqueFd> held;
  UniqueFd root(open(("/proc/" + std::to_string(init) + "/root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status;
  if (!root.valid() || fstat(root.get(), &status) != 0) return held;
  const dev_t device = status.st_dev;
  std::set<uint64_t> nameless;
  for (const auto& [number, mark] : watchedFiles(processes, kernelNumber(device))) {
    UniqueFd file = openHandle(root.get(), mark.handleType, mark.handle);
    // One without a name is closed again: while it is open, the kernel gives it to CRIU rather than one with a name.
    if (!file.valid() || fstat(file.get(), &status) != 0) nameless.insert(number);
    else if (!S_ISDIR(status.st_mode) && linkOf("/proc/self/fd/" + std::to_string(file.get())) == "/") nameless.insert(status.st_ino);
    else if (held.size() < mostFound) held.push_back(std::move(file));
  }
  if (nameless.empty()) return held;
  Search search(std::move(nameless), device);
  search.in(std::move(root));
  if (search.missing() > 0)
    return engineError("a process watches (inotify, fanotify) " + std::to_string(search.missing()) +
                       " file(s) that have no name in the container's root file system, or none that was found in " +
                       std::to_string(longestSearch.count()) + " s");
  for (auto& file : search.found) held.push_back(std::move(file));
  return held;
}

}  // namespace drover
