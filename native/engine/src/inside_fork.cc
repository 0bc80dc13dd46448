// See inside_fork.h; setns(2).
#include "inside_fork.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_setup.h"
#include "pidfd.h"
#include "unique_fd.h"

namespace drover {

namespace {
constexpr int deadlineMs = 10'000;

bool sameUserNamespace(pid_t process) {
  struct stat own, theirs;
  return stat("/proc/self/ns/user", &own) == 0 && stat(("/proc/" + std::to_string(process) + "/ns/user").c_str(), &theirs) == 0 && own.st_ino == theirs.st_ino;
}
}  // namespace

Status runInMountNamespace(pid_t process, bool asItsRoot, const std::string& doing, const std::function<int()>& work) {
  DROVER_TRY_ASSIGN(target, openPidfd(process));
  // Of a privileged container: nobody can enter the namespace that it is in.
  const bool ours = sameUserNamespace(process);
  ForkResult child = forkInto(0, -1);
  if (child.pid == 0) {
    becomePlainProcess();
    if (setns(target.get(), CLONE_NEWNS | (asItsRoot && !ours ? CLONE_NEWUSER : 0)) != 0) _exit(errno);
    _exit(work());
  }
  if (child.pid < 0) return errnoError("fork to " + doing, -child.pid);
  UniqueFd pidfd(child.pidfd);
  if (!waitPidfd(pidfd.get(), deadlineMs)) (void)signalPidfd(pidfd.get(), SIGKILL).ok();
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || waitPidfd(target.get(), 0)) return {};
  return errnoError(doing, WIFEXITED(status) ? WEXITSTATUS(status) : ETIMEDOUT);
}

}  // namespace drover
