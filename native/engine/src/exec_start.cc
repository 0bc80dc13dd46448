// Starts an exec'ed command: forks into the container's PID namespace. See exec.h.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child_setup.h"
#include "exec.h"
#include "exec_child.h"
#include "inside_user.h"
#include "log.h"
#include "pidfd.h"
#include "start.h"

namespace drover {

namespace {

constexpr int execDeadlineMs = 20'000;

struct Pipe {
  UniqueFd read, write;
};

/** Owned by the command's user, so that it can open /dev/stdout and the like again. */
Result<Pipe> makePipe(uid_t uid, gid_t gid) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errnoError("make pipe");
  Pipe made{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (fchown(ends[0], uid, gid) != 0) return errnoError("give pipe to the command");
  return made;
}

/** A shell's rule: a name with a slash is a path, else every directory of PATH is tried. */
std::vector<std::string> candidatePaths(const std::string& command, const std::string& path) {
  if (command.find('/') != std::string::npos) return {command};
  std::vector<std::string> candidates;
  size_t start = 0;
  while (start <= path.size()) {
    size_t end = std::min(path.find(':', start), path.size());
    if (end > start) candidates.push_back(path.substr(start, end - start) + "/" + command);
    start = end + 1;
  }
  return candidates;
}

/** Makes this thread's next child be born in the PID namespace of init; undone when destroyed. */
class ChildrenInNamespace {
 public:
  static Result<std::unique_ptr<ChildrenInNamespace>> enter(int initPidfd, const std::string& container) {
    UniqueFd own(open("/proc/thread-self/ns/pid", O_RDONLY | O_CLOEXEC));
    if (!own.valid()) return errnoError("open own PID namespace");
    if (setns(initPidfd, CLONE_NEWPID) != 0) return errnoError("enter the PID namespace of " + container);
    auto entered = std::make_unique<ChildrenInNamespace>();
    entered->own_ = std::move(own);
    return entered;
  }
  ~ChildrenInNamespace() {
    // A worker that stayed there would start the next container inside this one: rather crash.
    if (setns(own_.get(), CLONE_NEWPID) != 0) {
      perror("drover-engine: return to own PID namespace");
      abort();
    }
  }

 private:
  UniqueFd own_;
};

/** Waits for execve's success (end of file) or failure; takes the terminal's master on the way. */
Status awaitExec(int sync, const ExecRequest& request, StartedExec& started) {
  if (request.terminal) {
    pollfd entry = {sync, POLLIN, 0};
    if (poll(&entry, 1, execDeadlineMs) <= 0) return Error{"TIMED_OUT", "exec in " + request.container + ": no terminal came"};
    // Either the descriptor or an early failure lies there.
    ChildFailure peeked = {};
    if (recv(sync, &peeked, sizeof peeked, MSG_PEEK) == 1) started.terminal.reset(receiveDescriptor(sync));
  }
  pollfd entry = {sync, POLLIN, 0};
  int ready;
  do ready = poll(&entry, 1, execDeadlineMs);
  while (ready < 0 && errno == EINTR);
  if (ready == 0) return Error{"TIMED_OUT", "exec in " + request.container + ": `" + request.command[0] + "` did not start"};
  ChildFailure failure = {};
  ssize_t count = recv(sync, &failure, sizeof failure, 0);
  if (count == 0) return {};
  if (count != sizeof failure) return engineError("exec in " + request.container + ": its process ended without a word");
  if (failure.stage != execStageExecute) return errnoError("exec in " + request.container + ": " + execStages[failure.stage], failure.number);
  started.failure = request.command[0] + ": " + (failure.number == ENOENT ? "command not found" : strerror(failure.number));
  started.failureCode = failure.number == ENOENT ? 127 : 126;
  return {};
}

}  // namespace

Result<StartedExec> startExec(Engine& engine, Container& container, const ExecRequest& given) {
  ExecRequest request = given;
  const Record record = container.snapshot();
  if (record.state != State::running)
    return Error{"WRONG_STATE", "exec in " + container.id + ": it is " + stateName(record.state) + ", must be running"};
  std::shared_ptr<UniqueFd> initPidfd;
  {
    std::lock_guard lock(container.mutex);
    initPidfd = container.initPidfd;
  }
  if (!initPidfd) return Error{"WRONG_STATE", "exec in " + container.id + ": its init has just ended"};

  auto variables = baseEnvironment(record.spec);
  if (request.terminal) variables["TERM"] = "xterm-256color";
  InsideUser user;
  if (request.userName) {
    DROVER_TRY_ASSIGN(found, findInsideUser(container, *request.userName));
    user = std::move(found);
    request.uid = user.uid;
    request.gid = user.gid;
    variables["HOME"] = user.home;
    variables["USER"] = variables["LOGNAME"] = *request.userName;
  } else if (request.uid != 0) {
    variables["HOME"] = "/";
  }
  for (const auto& [name, value] : request.environment) variables[name] = value;
  EnvironmentBlock environment(variables);
  ArgumentBlock arguments(request.command);
  auto candidates = candidatePaths(request.command[0], variables["PATH"]);

  StartedExec started;
  Pipe input, output, errors;
  if (!request.terminal) {
    const uid_t uid = record.spec.owner() + request.uid, gid = record.spec.owner() + request.gid;
    DROVER_TRY_ASSIGN(in, makePipe(uid, gid));
    DROVER_TRY_ASSIGN(out, makePipe(uid, gid));
    DROVER_TRY_ASSIGN(err, makePipe(uid, gid));
    input = std::move(in);
    output = std::move(out);
    errors = std::move(err);
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errnoError("make sync socket");
  UniqueFd ours(pair[0]), theirs(pair[1]);
  DROVER_TRY_ASSIGN(tasks, engine.cgroups().openTasks(container.id));
  UniqueFd unified = engine.cgroups().openUnified(container.id, record.initPid);

  ExecPlan plan = {};
  plan.sync = theirs.get();
  plan.initPidfd = initPidfd->get();
  for (const auto& task : tasks) plan.taskFiles.push_back(task.get());
  plan.terminal = request.terminal.has_value();
  if (request.terminal) {
    plan.columns = request.terminal->columns;
    plan.rows = request.terminal->rows;
  }
  plan.input = input.read.get();
  plan.output = output.write.get();
  plan.errors = errors.write.get();
  plan.uid = request.uid;
  plan.gid = request.gid;
  plan.groups = user.groups.data();
  plan.groupCount = user.groups.size();
  plan.directory = request.directory ? request.directory->c_str() : nullptr;
  plan.home = variables["HOME"].c_str();
  for (const auto& candidate : candidates) plan.candidates.push_back(candidate.c_str());
  plan.arguments = arguments.data();
  plan.environment = environment.data();
  SeccompProgram ownFilter;
  DROVER_TRY_ASSIGN(filter, seccompOf(record.spec.security, engine.seccomp(), ownFilter));
  plan.seccomp = filter->instructions;
  plan.lackingCapabilities = lackingCapabilities(record.spec.security);
  plan.privileged = record.spec.security.privileged;
  plan.rlimits = &record.spec.rlimits;

  ForkResult child;
  {
    DROVER_TRY_ASSIGN(inside, ChildrenInNamespace::enter(initPidfd->get(), container.id));
    child = forkInto(0, unified.valid() ? unified.get() : -1);
    if (child.pid == 0) {
      close(ours.get());
      runExec(plan);
    }
  }
  if (child.pid < 0) return errnoError("fork in " + container.id, -child.pid);
  theirs.reset();
  started.pid = child.pid;
  started.pidfd.reset(child.pidfd);
  started.input = std::move(input.write);
  started.output = std::move(output.read);
  started.errors = std::move(errors.read);
  if (Status failed = awaitExec(ours.get(), request, started); !failed.ok()) {
    Status killed = signalPidfd(child.pidfd, SIGKILL);
    if (killed.ok() && waitPidfd(child.pidfd, execDeadlineMs)) endedStatus(child.pidfd);
    return failed.error();
  }
  // A limit may have been asked for since the cgroups were opened.
  if (Status gathered = engine.cgroups().gather(container.id); !gathered.ok()) logLine("warn", gathered.error().message);
  return started;
}

}  // namespace drover
