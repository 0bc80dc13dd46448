// See power_off.h; systemd(1): SIGRTMIN+3, init(8) of SysV and its initreq.h: runlevels by /run/initctl.
#include "power_off.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "file_io.h"
#include "pidfd.h"
#include "within_root.h"

namespace drover {

namespace {

/** systemd: SIGRTMIN+3 with the C library's SIGRTMIN, whatever ours is. */
constexpr int systemdHalt = 37;

/** The request of SysV's init, with the runlevel that halts. */
struct RunlevelRequest {
  int magic = 0x03091969;
  int command = 1;
  int runlevel = '0';
  int sleepSeconds = 0;
  char reserved[368] = {};
};
static_assert(sizeof(RunlevelRequest) == 384);

constexpr int betweenLooksMs = 2;

/** A set of signals in /proc/<pid>/status. */
uint64_t signalSet(const std::string& status, const std::string& key) {
  size_t position = status.find(key + ":\t");
  return position == std::string::npos ? 0 : strtoull(status.c_str() + position + key.size() + 2, nullptr, 16);
}

/** Whether it has a handler for the signal, or waits for it (busybox, systemd). */
bool listensTo(pid_t pid, int signal) {
  auto status = readFile("/proc/" + std::to_string(pid) + "/status", 8192);
  if (!status.ok()) return false;
  return (signalSet(status.value(), "SigCgt") | signalSet(status.value(), "SigBlk")) >> (signal - 1) & 1;
}

Status signalWhenListening(pid_t pid, int pidfd, int signal, int patienceMs) {
  int64_t end = nowMs() + patienceMs;
  while (!listensTo(pid, signal) && nowMs() < end)
    if (waitPidfd(pidfd, betweenLooksMs)) return {};
  return signalPidfd(pidfd, signal);
}

/** Its pipe, if it has one and reads it. Whatever else has that name is left alone: it is the container's to name. */
UniqueFd openControlPipe(pid_t pid) {
  UniqueFd root(open(("/proc/" + std::to_string(pid) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return {};
  UniqueFd named = openWithin(root.get(), "run/initctl", O_PATH);
  struct stat info;
  if (!named.valid() || fstat(named.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) return {};
  return UniqueFd(open(("/proc/self/fd/" + std::to_string(named.get())).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

bool requestHalt(pid_t pid) {
  UniqueFd pipe = openControlPipe(pid);
  const RunlevelRequest request;
  return pipe.valid() && write(pipe.get(), &request, sizeof request) == sizeof request;
}

}  // namespace

Status askInitToPowerOff(pid_t pid, int pidfd, int signal, int patienceMs) {
  if (signal != 0) return signalWhenListening(pid, pidfd, signal, patienceMs);
  char target[4096];
  ssize_t count = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), target, sizeof target);
  std::string path(target, count > 0 ? static_cast<size_t>(count) : 0);
  if (path.ends_with("/systemd")) return signalWhenListening(pid, pidfd, systemdHalt, patienceMs);
  if (path.ends_with("/busybox")) return signalWhenListening(pid, pidfd, SIGUSR2, patienceMs);
  if (path.ends_with("/init") && requestHalt(pid)) return {};
  return listensTo(pid, SIGPWR) ? signalPidfd(pidfd, SIGPWR) : signalWhenListening(pid, pidfd, SIGTERM, patienceMs);
}

}  // namespace drover
