// See rename.h; uts_namespaces(7), hosts(5).
#include "rename.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "inside_root.h"
#include "within_root.h"

namespace drover {

namespace {

/** Beyond it a file is its users' own. */
constexpr size_t mostBytes = 256 << 10;

Result<UniqueFd> openUts(const std::string& process) {
  const std::string path = "/proc/" + process + "/ns/uts";
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  return fd;
}

/** By this thread, which goes into the namespace and comes back. */
Status changeHostname(pid_t init, const std::string& before, const std::string& after) {
  DROVER_TRY_ASSIGN(own, openUts("thread-self"));
  DROVER_TRY_ASSIGN(theirs, openUts(std::to_string(init)));
  if (setns(theirs.get(), CLONE_NEWUTS) != 0) return errnoError("enter the UTS namespace of the container");
  char current[HOST_NAME_MAX + 1] = {};
  const bool untouched = gethostname(current, sizeof current - 1) == 0 && before == current;
  const int failed = untouched && sethostname(after.c_str(), after.size()) != 0 ? errno : 0;
  // A thread that stayed there would rename a container instead of nothing: no way on.
  if (setns(own.get(), CLONE_NEWUTS) != 0) abort();
  errno = failed;
  return failed == 0 ? Status() : errnoError("set the hostname to " + after);
}

/** Written in place, so that owner, mode and mounts stay; cut after that, so that it is never empty. */
Status replaceContent(int root, const std::string& path, const std::string& content) {
  UniqueFd file = openWithin(root, path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
  struct stat info;
  if (!file.valid() || fstat(file.get(), &info) != 0) return errnoError("write " + path);
  if (!S_ISREG(info.st_mode) || !holdsFiles(file.get())) return Error{"WRONG_STATE", "write " + path + ": it is no regular file"};
  if (pwrite(file.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) return errnoError("write " + path);
  if (ftruncate(file.get(), static_cast<off_t>(content.size())) != 0) return errnoError("write " + path);
  return {};
}

/** A file that isn't there, can't be read or is that large is none to change. */
Status rewrite(int root, const std::string& path, auto change) {
  auto text = readWithin(root, path, mostBytes);
  if (!text.ok() || text.value().size() >= mostBytes) return {};
  const std::string changed = change(text.value());
  return changed == text.value() ? Status() : replaceContent(root, path, changed);
}

}  // namespace

std::string renamedInHosts(const std::string& text, const std::string& before, const std::string& after) {
  std::string result;
  bool comment = false;
  bool address = true;
  for (size_t at = 0; at < text.size();) {
    const char first = text[at];
    if (first == '\n') {
      comment = false;
      address = true;
    }
    comment = comment || first == '#';
    const size_t end = text.find_first_of(" \t\n#", at);
    if (end == at || comment) {
      result += first;
      ++at;
      continue;
    }
    const std::string word = text.substr(at, end == std::string::npos ? end : end - at);
    result += !address && word == before ? after : word;
    address = false;
    at += word.size();
  }
  return result;
}

Status renameContainer(Engine& engine, const std::shared_ptr<Container>& container, const std::string& name) {
  const Record record = container->snapshot();
  const std::string& before = record.spec.name;
  if (before == name) return {};
  {
    DROVER_TRY_ASSIGN(root, openInsideRoot(*container));
    DROVER_TRY(rewrite(root.get(), "etc/hostname", [&](const std::string& text) { return text == before + "\n" ? name + "\n" : text; }));
    DROVER_TRY(rewrite(root.get(), "etc/hosts", [&](const std::string& text) { return renamedInHosts(text, before, name); }));
  }
  if (record.initPid > 0) DROVER_TRY(changeHostname(record.initPid, before, name));
  return engine.update(*container, [&](Record& changed) { changed.spec.name = name; });
}

}  // namespace drover
