// Paths within a container's root, through links that the container has made: none may lead out. Input: the target of the link
// /link, a newline, the path that is opened.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "target.h"
#include "within_root.h"

using namespace drover;

namespace {

/** A root with files, directories and links that lead out of it, on the other side of a file that must never be seen. */
class Root {
 public:
  Root() {
    std::string name = std::filesystem::temp_directory_path() / "drover-fuzz-XXXXXX";
    must(mkdtemp(name.data()) != nullptr, "a temporary directory can be made");
    outside_ = std::filesystem::canonical(name);
    path = outside_ + "/root";
    for (const char* directory : {"/root", "/root/a", "/root/a/b", "/root/etc"}) mkdir((outside_ + directory).c_str(), 0755);
    for (const char* file : {"/secret", "/root/etc/passwd", "/root/a/file"}) close(open((outside_ + file).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    for (auto [link, target] : {std::pair{"/up", "../../.."}, {"/a/up", "../../secret"}, {"/loop", "loop"}, {"/self", "/proc/self/root"}, {"/a/abs", "/etc"}})
      must(symlink(target, (path + link).c_str()) == 0, "a link can be made");
    descriptor.reset(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~Root() {
    std::error_code ignored;
    std::filesystem::remove_all(outside_, ignored);
  }

  std::string path;
  UniqueFd descriptor;

 private:
  std::string outside_;
};

void run(std::string_view input) {
  static const Root root;
  const size_t newline = std::min(input.find('\n'), input.size());
  const std::string target(input.substr(0, newline)), path(input.substr(std::min(newline + 1, input.size())));
  unlinkat(root.descriptor.get(), "link", 0);
  (void)!symlinkat(target.c_str(), root.descriptor.get(), "link");
  for (int flags : {O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY, O_RDONLY | O_DIRECTORY}) {
    UniqueFd opened = openWithin(root.descriptor.get(), path, flags);
    if (!opened.valid()) continue;
    char where[8192];
    const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(opened.get())).c_str(), where, sizeof where);
    must(length > 0, "what is open has a path");
    const std::string_view reached(where, static_cast<size_t>(length));
    must(reached == root.path || reached.starts_with(root.path + "/"), "a path stays within the root");
  }
  (void)readWithin(root.descriptor.get(), path, 100);
}

const Registered registered("paths", run);

}  // namespace
