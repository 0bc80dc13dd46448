#include "remote_syscall.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <thread>

#include "file_io.h"
#include "memory_map.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr size_t mostMaps = 16 << 20;
constexpr size_t mostThreads = 4096;
/** New threads may appear while the others are being stopped. */
constexpr int mostPasses = 16;
/** All of them stand until the last one does, and a thread in an uninterruptible sleep (a disk's, a vfork's) may take for ever. */
constexpr auto stopsWithin = std::chrono::milliseconds(100);
constexpr auto lookEach = std::chrono::microseconds(50);

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

/** Segment of 64-bit code; elsewhere the same numbers mean other calls. */
constexpr unsigned long code64 = 0x33;

/**
 * Address of what names the restartable sequence that a thread may be in the middle of (rseq(2), `rseq_cs`); 0: it has registered none. The kernel
 * clears it as soon as the thread goes on elsewhere.
 */
unsigned long sequenceOf(pid_t thread) {
  __ptrace_rseq_configuration registered{};
  if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread, sizeof registered, &registered) < 0 || registered.rseq_abi_pointer == 0) return 0;
  return registered.rseq_abi_pointer + offsetof(rseq, rseq_cs);
}
#endif

/** Waits for the next stop of a thread that this one traces; false: it has ended. */
bool waitStop(pid_t thread, int& status) {
  pid_t got;
  do got = waitpid(thread, &status, __WALL);
  while (got < 0 && errno == EINTR);
  return got == thread && WIFSTOPPED(status);
}

/** Waits for the stop that an interrupted thread comes to; false: it has ended. Signals that it takes on its way there are handed on to it. */
Result<bool> standsBy(pid_t thread, std::chrono::steady_clock::time_point deadline) {
  for (;; std::this_thread::sleep_for(lookEach)) {
    int status = 0;
    pid_t got = waitpid(thread, &status, __WALL | WNOHANG);
    if (got > 0 && !WIFSTOPPED(status)) return false;
    if (got > 0 && status >> 16 == PTRACE_EVENT_STOP) return true;
    if (got > 0) ptrace(PTRACE_CONT, thread, nullptr, WSTOPSIG(status));
    if (got < 0 && errno != EINTR) return false;
    if (std::chrono::steady_clock::now() >= deadline) return Error{"TIMED_OUT", "thread " + std::to_string(thread) + " does not stop"};
  }
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
  const auto deadline = std::chrono::steady_clock::now() + stopsWithin;
  for (int pass = 0; pass < mostPasses; pass++) {
    DROVER_TRY_ASSIGN(asked, interruptOthers());
    bool found = false;
    for (pid_t thread : asked) {
      DROVER_TRY_ASSIGN(stands, standsBy(thread, deadline));
      // One that ends in this moment is gone by itself.
      if (stands) threads_.push_back(thread);
      found = found || stands;
    }
    if (!found) return threads_.empty() ? Status(engineError(name(pid_) + " has ended")) : Status();
  }
  return engineError(name(pid_) + " makes threads faster than they can be stopped");
}

Result<std::vector<pid_t>> StoppedProcess::interruptOthers() const {
  std::vector<pid_t> asked;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task", error)) {
    pid_t thread = atoi(entry.path().filename().c_str());
    if (std::find(threads_.begin(), threads_.end(), thread) != threads_.end()) continue;
    if (threads_.size() + asked.size() >= mostThreads) return engineError(name(pid_) + " has over " + std::to_string(mostThreads) + " threads");
    if (ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_SUSPEND_SECCOMP) != 0) {
      if (errno == ESRCH) continue;
      return errnoError("trace " + name(pid_));
    }
    if (ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0) asked.push_back(thread);
  }
  if (error) return engineError("list the threads of " + name(pid_) + ": " + error.message());
  return asked;
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
  if (saved.cs != code64) return engineError(name(pid_) + " runs 32-bit code");
  const unsigned long sequence = sequenceOf(thread);
  const long within = sequence == 0 ? 0 : ptrace(PTRACE_PEEKDATA, thread, sequence, nullptr);
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
  // The step has no deadline: its registers must be put back.
  bool done = ptrace(PTRACE_SETREGS, thread, nullptr, &regs) == 0 && ptrace(PTRACE_SINGLESTEP, thread, nullptr, nullptr) == 0 &&
              waitStop(thread, status) && WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, thread, nullptr, &regs) == 0;
  bool restored = ptrace(PTRACE_SETREGS, thread, nullptr, &saved) == 0;
  restored = ptrace(PTRACE_SETSIGMASK, thread, sizeof blocked, &blocked) == 0 && restored;
  if (within > 0) restored = ptrace(PTRACE_POKEDATA, thread, sequence, within) == 0 && restored;
  if (!done || !restored) return engineError(name(pid_) + ": a system call in it was cut off");
  return static_cast<long>(regs.rax);
#else
  (void)number, (void)first, (void)second, (void)third;
  return engineError("system calls in " + name(pid_) + ": not on this architecture");
#endif
}

}  // namespace drover
