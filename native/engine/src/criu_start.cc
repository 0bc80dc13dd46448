// See criu_start.h; posix_spawn(3).
#include "criu_start.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn_attributes.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr int firstDescriptor = 3;
const std::string searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// Else each function of a library is looked for when it is first called, in the blackout.
const std::string bindNow = "LD_BIND_NOW=1";

/** A library beside the engine's program; empty where it was not installed. */
std::string libraryNamed(const std::string& name) {
  // For comparisons: CRIU as it is.
  if (getenv("DROVER_CRIU_PLAIN")) return "";
  char own[4096];
  ssize_t length = readlink("/proc/self/exe", own, sizeof own);
  std::string file(own, length > 0 ? static_cast<size_t>(length) : 0);
  file = file.substr(0, file.rfind('/') + 1) + name;
  return access(file.c_str(), R_OK) == 0 ? file : "";
}

const std::string& quickLibrary() {
  static const std::string path = libraryNamed("libdrover-criu.so");
  return path;
}

/** Descriptors 0, 1 and 2 lead nowhere, the next ones are these. */
pid_t spawnProcess(const std::string& binary, std::vector<std::string> arguments, const std::vector<int>& descriptors, std::vector<std::string> environment) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int fd = 0; fd < firstDescriptor; fd++) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  // Moved out of the way first: a descriptor must not be overwritten before it has been copied, and a copy onto itself stays CLOEXEC.
  const int room = firstDescriptor + static_cast<int>(descriptors.size());
  std::vector<UniqueFd> moved;
  for (int fd : descriptors) {
    moved.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, room));
    posix_spawn_file_actions_adddup2(&actions, moved.back().get(), firstDescriptor + static_cast<int>(moved.size()) - 1);
  }
  const SpawnAttributes attributes;
  std::vector<char*> argv, envp;
  for (auto& argument : arguments) argv.push_back(argument.data());
  for (auto& line : environment) envp.push_back(line.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t pid = -1;
  const int failure = posix_spawn(&pid, binary.c_str(), &actions, attributes.get(), argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  return failure == 0 ? pid : -failure;
}

/** Whether CRIU gets as far as its version with these: every function that it wants is there. */
bool suits(const std::string& binary, const std::string& preload) {
  const pid_t pid = spawnProcess(binary, {"criu", "--version"}, {}, {searchPath, bindNow, preload});
  int status = -1;
  if (pid < 0) return false;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status == 0;
}

/** LD_PRELOAD of this CRIU. Asked once: the binary does not change under a running engine. */
const std::string& preloadFor(const std::string& binary) {
  static const std::string preload = [&] {
    const std::string alone = "LD_PRELOAD=" + quickLibrary();
    std::string with = alone;
    for (const char* name : {"libdrover-no-gnutls.so", "libdrover-no-nftables.so"})
      if (const std::string path = libraryNamed(name); !path.empty()) with += ":" + path;
    return suits(binary, with) ? with : alone;
  }();
  return preload;
}

}  // namespace

bool haveQuickLibrary() { return !quickLibrary().empty(); }

pid_t startCriu(const std::string& binary, const std::vector<int>& descriptors, const std::vector<std::string>& hints) {
  std::vector<std::string> environment = hints;
  environment.push_back(searchPath);
  environment.push_back(bindNow);
  if (haveQuickLibrary()) environment.push_back(preloadFor(binary));
  return spawnProcess(binary, {"criu", "swrk", std::to_string(firstDescriptor)}, descriptors, std::move(environment));
}

}  // namespace drover
