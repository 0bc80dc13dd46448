// See inside_files.h and inside_root.h.
#include "inside_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base64.h"
#include "inside_root.h"
#include "json_io.h"

namespace drover {

namespace {

constexpr size_t mostEntriesPerAnswer = 1000;
/** Of one directory; a list beyond it would only be memory. */
constexpr size_t mostEntries = 200'000;
constexpr mode_t usualFileMode = 0644, usualDirectoryMode = 0755;

const char* typeName(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "symlink";
    case S_IFCHR: return "character-device";
    case S_IFBLK: return "block-device";
    case S_IFIFO: return "fifo";
    default: return "socket";
  }
}

class InsideFiles {
 public:
  InsideFiles(const Container& container, int root) : container_(container), base_(container.snapshot().spec.owner()), root_(root) {}

  Result<Json> stat(const FileRequest& request) {
    UniqueFd there = openWithin(root_, request.path, O_PATH | (request.follow ? 0 : O_NOFOLLOW));
    if (!there.valid()) return fail("look at", request.path);
    return describe(there.get(), "", request.path);
  }

  Result<Json> list(const FileRequest& request) {
    UniqueFd directory = openWithin(root_, request.path, O_RDONLY | O_DIRECTORY);
    if (!directory.valid()) return fail("list", request.path);
    DIR* stream = fdopendir(fcntl(directory.get(), F_DUPFD_CLOEXEC, 0));
    if (!stream) return fail("list", request.path);
    std::vector<std::string> names;
    while (dirent* entry = readdir(stream)) {
      std::string name = entry->d_name;
      if (name != "." && name != ".." && name > request.after && names.size() < mostEntries) names.push_back(std::move(name));
    }
    closedir(stream);
    std::sort(names.begin(), names.end());
    Json entries = Json::array();
    for (size_t i = 0; i < names.size() && i < mostEntriesPerAnswer; ++i) {
      auto status = describe(directory.get(), names[i].c_str(), names[i]);
      // Removed since: it is no entry.
      if (!status.ok()) continue;
      status.value()["name"] = names[i];
      entries.push_back(std::move(status.value()));
    }
    const bool more = names.size() > mostEntriesPerAnswer;
    return Json{{"entries", std::move(entries)}, {"next", more ? Json(names[mostEntriesPerAnswer - 1]) : Json(nullptr)}};
  }

  Result<Json> read(const FileRequest& request) {
    DROVER_TRY_ASSIGN(file, openData(request.path, O_RDONLY, "read"));
    struct stat info;
    if (fstat(file.get(), &info) != 0) return fail("read", request.path);
    std::string data(static_cast<size_t>(request.limit), '\0');
    ssize_t count = pread(file.get(), data.data(), data.size(), request.offset);
    if (count < 0) return fail("read", request.path);
    data.resize(static_cast<size_t>(count));
    return Json{{"dataBase64", toBase64(data)}, {"sizeBytes", static_cast<int64_t>(info.st_size)}};
  }

  Result<Json> write(const FileRequest& request) {
    auto opened = openData(request.path, O_WRONLY, "write");
    const bool isNew = !opened.ok() && opened.error().code == "FILE_NOT_FOUND";
    if (isNew) opened = makeFile(request);
    if (!opened.ok()) return opened.error();
    const int file = opened.value().get();
    if (request.truncate && ftruncate(file, request.offset) != 0) return fail("write", request.path);
    size_t done = 0;
    while (done < request.data.size()) {
      ssize_t count = pwrite(file, request.data.data() + done, request.data.size() - done, request.offset + static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return fail("write", request.path);
      done += static_cast<size_t>(count);
    }
    DROVER_TRY(give(file, request.owner, request.path));
    return describe(file, "", request.path);
  }

  Result<Json> make(const FileRequest& request) {
    DROVER_TRY_ASSIGN(place, openPlace(request.path));
    const char* name = place.name.c_str();
    struct stat info;
    const bool exists = fstatat(place.directory.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (request.type == "symlink") {
      if (exists && !S_ISLNK(info.st_mode)) return Error{"WRONG_STATE", what("make the link", request.path) + ": a " + typeName(info.st_mode) + " is there"};
      if (exists && unlinkat(place.directory.get(), name, 0) != 0) return fail("replace the link", request.path);
      ActingAs owner(base_ + request.owner.uid.value_or(0), base_ + request.owner.gid.value_or(0));
      if (symlinkat(request.target.c_str(), place.directory.get(), name) != 0) return fail("make the link", request.path);
      return describe(place.directory.get(), name, request.path);
    }
    if (!exists) {
      ActingAs owner(base_ + request.owner.uid.value_or(0), base_ + request.owner.gid.value_or(0));
      if (mkdirat(place.directory.get(), name, 0700) != 0) return fail("make the directory", request.path);
    }
    UniqueFd made = openWithin(root_, request.path, O_RDONLY | O_DIRECTORY);
    if (!made.valid()) return fail("make the directory", request.path);
    FileOwner owner = request.owner;
    if (!exists && !owner.mode) owner.mode = usualDirectoryMode;
    if (!holdsFiles(made.get())) return notFiles("make the directory", request.path);
    DROVER_TRY(give(made.get(), owner, request.path));
    return describe(made.get(), "", request.path);
  }

 private:
  struct Place {
    UniqueFd directory;
    std::string name;
  };

  std::string what(const char* doing, const std::string& path) const { return std::string(doing) + " " + path + " in " + container_.id; }

  Error fail(const char* doing, const std::string& path, int number = errno) const {
    const bool missing = number == ENOENT || number == ENOTDIR;
    return {missing ? "FILE_NOT_FOUND" : number == EISDIR ? "WRONG_STATE" : "ENGINE_FAILED", what(doing, path) + ": " + strerror(number)};
  }

  Error notFiles(const char* doing, const std::string& path) const {
    return {"WRONG_STATE", what(doing, path) + ": it is on no file system that holds files (use exec)"};
  }

  /** Looked at first, without effect: opening a device or a fifo would already do something. */
  Result<UniqueFd> openData(const std::string& path, int flags, const char* doing) {
    UniqueFd there = openWithin(root_, path, O_PATH);
    if (!there.valid()) return fail(doing, path);
    struct stat info;
    if (fstat(there.get(), &info) != 0) return fail(doing, path);
    if (!S_ISREG(info.st_mode)) return Error{"WRONG_STATE", what(doing, path) + ": it is a " + typeName(info.st_mode) + ", no file"};
    if (!holdsFiles(there.get())) return notFiles(doing, path);
    UniqueFd file(open(("/proc/self/fd/" + std::to_string(there.get())).c_str(), flags | O_CLOEXEC));
    if (!file.valid()) return fail(doing, path);
    return file;
  }

  /** The directory that a new name goes into. */
  Result<Place> openPlace(const std::string& path) {
    std::string trimmed = path;
    while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
    const size_t slash = trimmed.rfind('/');
    std::string name = trimmed.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") return badRequest("field `path`: `" + path.substr(0, 200) + "` does not end in a name");
    UniqueFd directory = openWithin(root_, slash == 0 ? "/" : trimmed.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!directory.valid()) return fail("open the directory of", path);
    if (!holdsFiles(directory.get())) return notFiles("make a name for", path);
    return Place{std::move(directory), std::move(name)};
  }

  Result<UniqueFd> makeFile(const FileRequest& request) {
    DROVER_TRY_ASSIGN(place, openPlace(request.path));
    ActingAs owner(base_ + request.owner.uid.value_or(0), base_ + request.owner.gid.value_or(0));
    UniqueFd file(openat(place.directory.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return fail("make", request.path);
    if (!request.owner.mode && fchmod(file.get(), usualFileMode) != 0) return fail("make", request.path);
    return file;
  }

  Status give(int file, const FileOwner& owner, const std::string& path) {
    // A change of owner takes the set-user-id bit away: the mode comes after it.
    if ((owner.uid || owner.gid) && fchown(file, owner.uid ? base_ + *owner.uid : static_cast<uid_t>(-1), owner.gid ? base_ + *owner.gid : static_cast<gid_t>(-1)) != 0)
      return fail("give an owner to", path);
    if (owner.mode && fchmod(file, *owner.mode) != 0) return fail("give a mode to", path);
    return {};
  }

  int64_t inner(uint32_t id) const {
    // Files of nobody's, e.g. of a host's directory that is bound inside: as the kernel shows them there.
    constexpr uint32_t overflowId = 65534;
    return id >= base_ && id - base_ < uidRange ? id - base_ : overflowId;
  }

  Result<Json> describe(int directory, const char* name, const std::string& path) const {
    struct stat info;
    if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0) return fail("look at", path);
    Json target = nullptr;
    if (S_ISLNK(info.st_mode)) {
      char text[4096];
      ssize_t count = readlinkat(directory, name, text, sizeof text);
      if (count >= 0) target = std::string(text, static_cast<size_t>(count));
    }
    return Json{{"type", typeName(info.st_mode)},
                {"mode", info.st_mode & 07777},
                {"uid", inner(info.st_uid)},
                {"gid", inner(info.st_gid)},
                {"sizeBytes", static_cast<int64_t>(info.st_size)},
                {"modifiedAtMs", static_cast<int64_t>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000},
                {"target", std::move(target)}};
  }

  const Container& container_;
  const uint32_t base_;
  const int root_;
};

}  // namespace

Result<Json> serveFileRequest(const Container& container, const FileRequest& request) {
  DROVER_TRY_ASSIGN(root, openInsideRoot(container));
  InsideFiles files(container, root.get());
  if (request.method == "fileStat") return files.stat(request);
  if (request.method == "fileList") return files.list(request);
  if (request.method == "fileRead") return files.read(request);
  if (request.method == "fileWrite") return files.write(request);
  return files.make(request);
}

}  // namespace drover
