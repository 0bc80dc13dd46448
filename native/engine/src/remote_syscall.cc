#include "remote_syscall.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "file_io.h"
#include "memory_map.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr size_t mostMaps = 16 << 20;
constexpr size_t mostThreads = 4096;
/** New threads may appear while the others are being stopped. */
constexpr int mostPasses = 16;

std::string name(pid_t pid) { return "process " + std::to_string(pid); }

#if defined(__x86_64__)
/** Where the vDSO has `0f 05`; every vDSO falls back to the real call somewhere. */
Result<unsigned long> findInstruction(pid_t pid) {
  DROVER_TRY_ASSIGN(maps, readFile("/proc/" + std::to_string(pid) + "/maps", mostMaps));
  auto vdso = vdsoIn(maps);
  if (!vdso) return engineError(name(pid) + " has no vDSO");
  const uint64_t start = vdso->start, end = vdso->end;
  if (end - start > (1 << 16)) return engineError(name(pid) + ": its vDSO can't be read");
  std::string code(end - start, '\0');
  UniqueFd memory(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory.valid() || pread(memory.get(), code.data(), code.size(), static_cast<off_t>(start)) != static_cast<ssize_t>(code.size()))
    return errnoError("read the vDSO of " + name(pid));
  size_t found = code.find("\x0f\x05");
  if (found == std::string::npos) return engineError(name(pid) + ": its vDSO makes no system call");
  return start + found;
}
#endif

/** Waits for the next stop of a thread that this one traces; false: it has ended. */
bool waitStop(pid_t thread, int& status) {
  pid_t got;
  do got = waitpid(thread, &status, __WALL);
  while (got < 0 && errno == EINTR);
  return got == thread && WIFSTOPPED(status);
}

}  // namespace

Result<StoppedProcess> StoppedProcess::stop(pid_t pid) {
#if defined(__x86_64__)
  StoppedProcess stopped(pid);
  DROVER_TRY_ASSIGN(at, findInstruction(pid));
  stopped.at_ = at;
  DROVER_TRY(stopped.seizeAll());
  return stopped;
#else
  return engineError("system calls in " + name(pid) + ": not on this architecture");
#endif
}

Status StoppedProcess::seizeAll() {
  const std::string directory = "/proc/" + std::to_string(pid_) + "/task";
  for (int pass = 0; pass < mostPasses; pass++) {
    bool found = false;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
      pid_t thread = atoi(entry.path().filename().c_str());
      if (std::find(threads_.begin(), threads_.end(), thread) != threads_.end()) continue;
      if (threads_.size() >= mostThreads) return engineError(name(pid_) + " has over " + std::to_string(mostThreads) + " threads");
      if (ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_SUSPEND_SECCOMP) != 0) {
        if (errno == ESRCH) continue;
        return errnoError("trace " + name(pid_));
      }
      int status = 0;
      // One that ends in this moment is gone by itself.
      if (ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0 || !waitStop(thread, status)) continue;
      threads_.push_back(thread);
      found = true;
    }
    if (error) return engineError("list the threads of " + name(pid_) + ": " + error.message());
    if (!found) return threads_.empty() ? Status(engineError(name(pid_) + " has ended")) : Status();
  }
  return engineError(name(pid_) + " makes threads faster than they can be stopped");
}

StoppedProcess::~StoppedProcess() {
  for (pid_t thread : threads_) ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
}

Result<long> StoppedProcess::call(long number, long first, long second, long third) {
#if defined(__x86_64__)
  const pid_t thread = threads_.front();
  user_regs_struct saved{};
  uint64_t blocked = 0, all = ~0ULL;
  if (ptrace(PTRACE_GETREGS, thread, nullptr, &saved) != 0) return errnoError("read the registers of " + name(pid_));
  // A signal must wait until its own registers are back.
  if (ptrace(PTRACE_GETSIGMASK, thread, sizeof blocked, &blocked) != 0 || ptrace(PTRACE_SETSIGMASK, thread, sizeof all, &all) != 0)
    return errnoError("block the signals of " + name(pid_));
  user_regs_struct regs = saved;
  regs.rip = at_;
  regs.rax = static_cast<unsigned long>(number);
  regs.orig_rax = ~0UL;
  regs.rdi = static_cast<unsigned long>(first);
  regs.rsi = static_cast<unsigned long>(second);
  regs.rdx = static_cast<unsigned long>(third);
  int status = 0;
  bool done = ptrace(PTRACE_SETREGS, thread, nullptr, &regs) == 0 && ptrace(PTRACE_SINGLESTEP, thread, nullptr, nullptr) == 0 &&
              waitStop(thread, status) && WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, thread, nullptr, &regs) == 0;
  bool restored = ptrace(PTRACE_SETREGS, thread, nullptr, &saved) == 0;
  restored = ptrace(PTRACE_SETSIGMASK, thread, sizeof blocked, &blocked) == 0 && restored;
  if (!done || !restored) return engineError(name(pid_) + ": a system call in it was cut off");
  return static_cast<long>(regs.rax);
#else
  (void)number, (void)first, (void)second, (void)third;
  return engineError("system calls in " + name(pid_) + ": not on this architecture");
#endif
}

}  // namespace drover
