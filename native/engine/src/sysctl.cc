// See sysctl.h, namespaces(7). By a short-lived child: the kernel shows in /proc/sys what belongs to the namespaces of whoever looks, and a
// thread of the engine that did not come back from there would be worse than a fork.
#include "sysctl.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "child_setup.h"
#include "pidfd.h"
#include "unique_fd.h"

namespace drover {

namespace {

constexpr int deadlineMs = 10'000;
constexpr size_t longestBefore = 1024;

struct Setting {
  std::string name, path, value;
  /** As it was: room for what the child reads there. */
  std::string before = std::string(longestBefore, 0);
  ssize_t beforeLength = 0;
  bool ofNetwork = false;
  bool written = false;
};

/** What the child says: which one failed, and why. */
struct Refusal {
  uint32_t index;
  int number;
};

/** 0 or an errno. */
int writeValue(const std::string& path, const char* value, size_t length) {
  int file = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return errno;
  const int number = write(file, value, length) == static_cast<ssize_t>(length) ? 0 : errno;
  close(file);
  return number;
}

/** Reads what was there and writes. False: refused, and then all that has been written is as it was; `refusal` says why. */
bool writeEach(std::vector<Setting>& settings, bool asHost, Refusal& refusal) {
  for (uint32_t at = 0; at < settings.size(); ++at) {
    Setting& each = settings[at];
    if (each.written || (asHost && each.ofNetwork)) continue;
    if (int file = open(each.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); file >= 0) {
      each.beforeLength = read(file, each.before.data(), each.before.size());
      close(file);
    }
    const int number = writeValue(each.path, each.value.data(), each.value.size());
    each.written = number == 0;
    if (number == 0 || (asHost && (number == EPERM || number == EACCES))) continue;
    refusal = {at, number};
    for (const Setting& other : settings)
      if (other.written && other.beforeLength > 0) writeValue(other.path, other.before.data(), static_cast<size_t>(other.beforeLength));
    return false;
  }
  return true;
}

/**
 * As root of the container, in whose numbers ids among the values are; but of its IPC namespace first as root of the host, who alone
 * might write those before Linux 6.10, and since then may not.
 */
[[noreturn]] void writeAll(int target, std::vector<Setting>& settings, int answer) {
  becomePlainProcess();
  Refusal refusal = {0, 0};
  if (setns(target, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) refusal = {static_cast<uint32_t>(settings.size()), errno};
  else if (writeEach(settings, true, refusal)) {
    // In the host's user namespace already, if it is privileged.
    if (setns(target, CLONE_NEWUSER) == 0) becomeUser(0, 0);
    writeEach(settings, false, refusal);
  }
  (void)!write(answer, &refusal, sizeof refusal);
  _exit(0);
}

}  // namespace

Status setSysctls(pid_t process, const Sysctls& sysctls, SysctlScope scope) {
  std::vector<Setting> settings;
  for (const auto& [name, value] : sysctls) {
    const std::string path = sysctlPath(name);
    const bool network = path.starts_with("net/");
    if (scope == SysctlScope::network && !network) continue;
    settings.push_back({.name = name, .path = "/proc/sys/" + path, .value = value, .ofNetwork = network});
  }
  if (settings.empty()) return {};
  DROVER_TRY_ASSIGN(target, openPidfd(process));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errnoError("make pipe");
  UniqueFd read(ends[0]), write(ends[1]);
  ForkResult child = forkInto(0, -1);
  if (child.pid == 0) writeAll(target.get(), settings, write.get());
  if (child.pid < 0) return errnoError("fork to set sysctls", -child.pid);
  UniqueFd pidfd(child.pidfd);
  write.reset();
  if (!waitPidfd(pidfd.get(), deadlineMs)) (void)signalPidfd(pidfd.get(), SIGKILL).ok();
  (void)endedStatus(pidfd.get());
  Refusal refusal = {};
  if (::read(read.get(), &refusal, sizeof refusal) != sizeof refusal) return engineError("set sysctls: no answer came from the container's namespaces");
  if (refusal.number == 0) return {};
  if (refusal.index >= settings.size()) return errnoError("enter the namespaces of the container to set sysctls", refusal.number);
  const Setting& refused = settings[refusal.index];
  // Network variables that a kernel has for the whole host only are not to be seen in another namespace.
  if (refusal.number == ENOENT || refusal.number == EACCES || refusal.number == EPERM)
    return Error{"BAD_REQUEST", "sysctl " + refused.name + ": this host's kernel gives containers none of their own"};
  return Error{"BAD_REQUEST", errnoError("sysctl " + refused.name + " = " + refused.value, refusal.number).message};
}

}  // namespace drover
