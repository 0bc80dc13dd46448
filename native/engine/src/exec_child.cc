// An exec'ed command before execve. See exec_child.h.
#include "exec_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "capabilities.h"
#include "child_setup.h"
#include "resource_limits.h"

namespace drover {

const char* const execStages[] = {"join its cgroups", "enter its namespaces", "become its root", "make a terminal", "change directory", "drop privileges", "limit its resources", "run"};

namespace {

enum Stage { joinCgroups, enterNamespaces, becomeRoot, makeTerminal, changeDirectory, dropPrivileges, limitResources, execute };
static_assert(execute == execStageExecute);

void check(const ExecPlan& plan, Stage stage, int number) {
  if (number != 0) reportFailure(plan.sync, stage, number);
}

/** Opens a pair in the container's own devpts, keeps the slave as controlling terminal, sends the master to the engine. */
int makePty(const ExecPlan& plan) {
  int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return errno;
  int unlock = 0;
  if (ioctl(master, TIOCSPTLCK, &unlock) != 0) return errno;
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return errno;
  winsize size = {};
  size.ws_col = plan.columns;
  size.ws_row = plan.rows;
  if (ioctl(slave, TIOCSWINSZ, &size) != 0) return errno;
  if (fchown(slave, plan.uid, 5) != 0) return errno;
  if (ioctl(slave, TIOCSCTTY, 0) != 0) return errno;
  if (int number = sendDescriptor(plan.sync, master); number != 0) return number;
  for (int target = 0; target < 3; ++target)
    if (dup2(slave, target) < 0) return errno;
  return 0;
}

int usePipes(const ExecPlan& plan) {
  if (dup2(plan.input, 0) < 0 || dup2(plan.output, 1) < 0 || dup2(plan.errors, 2) < 0) return errno;
  return 0;
}

}  // namespace

void runExec(const ExecPlan& plan) {
  becomePlainProcess();
  check(plan, joinCgroups, joinTasks(plan.taskFiles.data(), static_cast<int>(plan.taskFiles.size())));
  check(plan, limitResources, raiseOwnResourceLimits(*plan.rlimits));
  if (setns(plan.initPidfd, (plan.privileged ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME) != 0)
    check(plan, enterNamespaces, errno);
  check(plan, becomeRoot, becomeUser(0, 0));
  if (setsid() < 0) check(plan, makeTerminal, errno);
  umask(022);
  check(plan, makeTerminal, plan.terminal ? makePty(plan) : usePipes(plan));
  check(plan, dropPrivileges, dropCapabilities(plan.lackingCapabilities));
  check(plan, dropPrivileges, installSeccomp(plan.seccomp));
  if (plan.uid != 0 || plan.gid != 0 || plan.groupCount != 0) check(plan, dropPrivileges, becomeUser(plan.uid, plan.gid, plan.groups, plan.groupCount));
  if (plan.directory) {
    if (chdir(plan.directory) != 0) check(plan, changeDirectory, errno);
  } else if (chdir(plan.home) != 0 && chdir("/") != 0) {
    check(plan, changeDirectory, errno);
  }
  // Without its engine nobody reads it or waits for it: it ends too. The worker that forked lives as long as the engine.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // As with an init: no descriptor that the engine was started with.
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) check(plan, dropPrivileges, errno);
  check(plan, limitResources, setOwnResourceLimits(*plan.rlimits));
  int number = ENOENT;
  for (const char* candidate : plan.candidates) {
    execve(candidate, plan.arguments, plan.environment);
    if (errno == EACCES) number = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR) reportFailure(plan.sync, execute, errno);
  }
  reportFailure(plan.sync, execute, number);
}

}  // namespace drover
