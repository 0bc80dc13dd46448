// Processes by pidfd. See pidfd.h.
#include "pidfd.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "file_io.h"
#include "process_text.h"

namespace drover {

/** The exit code in /proc/<pid>/stat of a zombie: the only place that tells a reboot from a kill when it is not our child. */
std::optional<int> zombieStatus(int pidfd) {
  auto info = readFile("/proc/self/fdinfo/" + std::to_string(pidfd), 4096);
  const int64_t pid = info.ok() ? numberAfter(info.value(), "Pid:") : -1;
  if (pid <= 0) return {};
  auto stat = readFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  auto parsed = stat.ok() ? parseProcessStat(stat.value()) : std::nullopt;
  return parsed ? parsed->exitStatus : std::nullopt;
}

namespace {

// From linux/pidfd.h of 6.15 and later; older headers lack it. The kernel sizes the structure by the ioctl's number.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroupId;
  uint32_t ids[11];
  int32_t exitCode;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr uint64_t pidfdInfoExit = 1u << 3;
constexpr unsigned long pidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
/** The exit information is there once the parent, whoever it is, has reaped the process. */
constexpr int reapedByOthersMs = 2000;

std::optional<int> statusOfForeigner(int pidfd) {
  for (int waited = 0;; ++waited) {
    if (auto status = zombieStatus(pidfd)) return status;
    PidfdInfo info = {};
    info.mask = pidfdInfoExit;
    if (ioctl(pidfd, pidfdGetInfo, &info) != 0 && errno != ESRCH && errno != EREMOTE) return {};
    if (info.mask & pidfdInfoExit) return info.exitCode;
    if (waited >= reapedByOthersMs) return {};
    poll(nullptr, 0, 1);
  }
}

}  // namespace

Result<UniqueFd> openPidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return errnoError("open pidfd of process " + std::to_string(pid));
  return fd;
}

Status signalPidfd(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0 && errno != ESRCH)
    return errnoError("send signal " + std::to_string(signal));
  return {};
}

bool waitPidfd(int pidfd, int timeoutMs) {
  int64_t end = nowMs() + timeoutMs;
  for (;;) {
    pollfd entry = {pidfd, POLLIN, 0};
    int64_t left = end - nowMs();
    int ready = poll(&entry, 1, left < 0 ? 0 : static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0) return false;
  }
}

std::optional<int> endedStatus(int pidfd) {
  siginfo_t info = {};
  int result;
  do result = waitid(static_cast<idtype_t>(3) /* P_PIDFD */, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  while (result != 0 && errno == EINTR);
  if (result != 0) return statusOfForeigner(pidfd);
  if (info.si_pid == 0) return {};
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status & 0x7f;
}

uint64_t processStartTime(pid_t pid) {
  auto content = readFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!content.ok()) return 0;
  auto parsed = parseProcessStat(content.value());
  return parsed ? parsed->startTime : 0;
}

std::string bootId() {
  auto content = readFile("/proc/sys/kernel/random/boot_id", 64);
  if (!content.ok()) return "";
  std::string id = content.value();
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

int64_t nowMs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

}  // namespace drover
