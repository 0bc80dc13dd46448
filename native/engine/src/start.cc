// Starts an init: cgroups, clone3 with all namespaces, id maps, root, network, record, go. See start.h.
#include "start.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address_filter.h"
#include "child_setup.h"
#include "crash_point.h"
#include "devices.h"
#include "disk_limit.h"
#include "empty_namespace.h"
#include "idmap.h"
#include "init_child.h"
#include "log.h"
#include "mounts.h"
#include "netlink.h"
#include "network_rate.h"
#include "pidfd.h"
#include "resource_limits.h"
#include "root_files.h"
#include "sysctl.h"

namespace drover {

namespace {

/** From "go" to execve; far above what a loaded machine needs. */
constexpr int startDeadlineMs = 20'000;
constexpr uint64_t namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;

/** What a child says before it ends, as an error. */
Error failureOf(const ChildFailure& failure, const Spec& spec) {
  std::string stage = initStages[failure.stage];
  return errnoError("start " + spec.container + ": " + stage + (stage == "run its init" ? " " + spec.init[0] : ""), failure.number);
}

/**
 * Empty when the child ran execve: its end of the socket closed; or, when asked for, when it says that it is `ready`. A child that ended
 * with our word unread resets the connection, and then has no end of file.
 */
Status waitForExec(int sync, const Spec& spec, bool* ready = nullptr) {
  pollfd entry = {sync, POLLIN, 0};
  int readable;
  do readable = poll(&entry, 1, startDeadlineMs);
  while (readable < 0 && errno == EINTR);
  if (readable == 0) return Error{"TIMED_OUT", "start " + spec.container + ": init did not run in " + std::to_string(startDeadlineMs) + " ms"};
  ChildFailure failure = {};
  ssize_t count = recv(sync, &failure, sizeof failure, 0);
  const bool unread = count < 0 && errno == ECONNRESET;
  if (unread) count = recv(sync, &failure, sizeof failure, 0);
  if (ready) *ready = count == 1;
  if ((count == 0 && !unread) || (ready && count == 1)) return {};
  if (count == sizeof failure) return failureOf(failure, spec);
  return engineError("start " + spec.container + ": its first process ended without a word");
}

/** What failed for us may have failed because the child did, and that is what to tell. */
Status preferChilds(Status status, int sync, const Spec& spec) {
  ChildFailure failure = {};
  ssize_t count = 0;
  for (int tries = 0; !status.ok() && tries < 2 && count <= 0; ++tries) count = recv(sync, &failure, sizeof failure, MSG_DONTWAIT);
  return count == sizeof failure ? Status(failureOf(failure, spec)) : status;
}

class Starting {
 public:
  Starting(Engine& engine, const std::shared_ptr<Container>& container)
      : engine_(engine), container_(container), spec_(container->snapshot().spec) {}

  Status run() {
    // What an earlier life left is taken down first; normally nothing.
    DROVER_TRY(engine_.cgroups().create(spec_));
    DROVER_TRY(ofItsOwn(holdDisk(*container_, spec_)));
    DROVER_TRY_ASSIGN(tasks, engine_.cgroups().openTasks(spec_.container));
    UniqueFd unified = engine_.cgroups().openUnified(spec_.container, 0);
    crashPoint("start:cgroups");

    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errnoError("make sync socket");
    UniqueFd ours(pair[0]), theirs(pair[1]);

    ArgumentBlock arguments(spec_.init);
    EnvironmentBlock environment(baseEnvironment(spec_));
    InitPlan plan = {};
    plan.sync = theirs.get();
    std::vector<int> taskFiles;
    for (const auto& task : tasks) taskFiles.push_back(task.get());
    plan.taskFiles = taskFiles.data();
    plan.taskFileCount = static_cast<int>(taskFiles.size());
    plan.lateTaskFileCount = engine_.cgroups().memoryWaits() ? 1 : 0;
    plan.hostname = spec_.name.c_str();
    plan.arguments = arguments.data();
    plan.environment = environment.data();
    SeccompProgram ownFilter;
    DROVER_TRY_ASSIGN(filter, seccompOf(spec_.security, engine_.seccomp(), ownFilter));
    // Who forks it is under the usual one.
    if (filter == &ownFilter) plan.seccomp = filter->instructions;
    plan.lackingCapabilities = lackingCapabilities(spec_.security);
    plan.nesting = spec_.security.nesting;
    plan.privileged = spec_.security.privileged;
    plan.rlimits = spec_.rlimits;
    plan.showCgroups = unified.valid();
    plan.awaitsDevices = hasDevices(container_->snapshot());

    auto spawned = engine_.spawner().spawn(plan, namespaces | (spec_.security.privileged ? 0 : CLONE_NEWUSER), unified.valid() ? unified.get() : -1);
    if (!spawned.ok()) return Error{spawned.error().code, "start " + spec_.container + ": " + spawned.error().message};
    const pid_t pid = spawned.value();
    theirs.reset();
    // Our child, and not reaped: the pid is still its own.
    DROVER_TRY_ASSIGN(pidfd, openPidfd(pid));
    crashPoint("start:cloned");
    Status status = preferChilds(complete(pid, ours.get()), ours.get(), spec_);
    if (!status.ok() && !container_->snapshot().initPid) {
      // Not watched yet: nobody else reaps it.
      Status killed = signalPidfd(pidfd.get(), SIGKILL);
      if (killed.ok() && waitPidfd(pidfd.get(), startDeadlineMs)) endedStatus(pidfd.get());
    }
    return status;
  }

 private:
  Status ofItsOwn(const Status& set) const {
    return set.ok() ? set : Error{set.error().code, "start " + spec_.container + ": " + set.error().message};
  }

  Status bringDevices(pid_t pid, int sync) {
    if (!hasDevices(container_->snapshot())) return {};
    bool ready = false;
    DROVER_TRY(waitForExec(sync, spec_, &ready));
    if (!ready) return engineError("start " + spec_.container + ": its first process ended before its devices came");
    return ofItsOwn(applyDevices(engine_, *container_, pid, spec_.devices));
  }

  /** Returns when it has run execve. */
  Status letGo(int sync) {
    char word = 0;
    const bool told = send(sync, &word, 1, MSG_NOSIGNAL) == 1;
    DROVER_TRY(waitForExec(sync, spec_));
    return told ? Status() : engineError("start " + spec_.container + ": its first process ended without a word");
  }

  /** The root, and what the child needs of the host until it is in it: see init_child. */
  Status handMounts(int sync, int root) {
    const std::string view = engine_.view().noticedRoot();
    UniqueFd mounts[std::size(hostMounts)];
    std::vector<int> handed = {root};
    for (const std::string& path : {std::string("/proc"), std::string("/sys"), view}) {
      if (path.empty()) continue;
      UniqueFd& mount = mounts[handed.size() - 1];
      mount.reset(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
      // Those of lxcfs are a service.
      if (mount.valid()) handed.push_back(mount.get());
      else if (path != view) return errnoError("open " + path);
    }
    if (int number = sendDescriptors(sync, handed); number != 0) return errnoError("hand the root to " + spec_.container, number);
    return {};
  }

  /** The parent's part: the child waits for its root, mounts what belongs there while files, network and record are made, and waits again. */
  Status complete(pid_t pid, int sync) {
    if (!spec_.security.privileged) DROVER_TRY(writeIdMaps(pid, spec_.owner()));
    crashPoint("start:mapped");
    DROVER_TRY_ASSIGN(userNamespace, ownersOf(spec_, pid));
    DROVER_TRY_ASSIGN(rootfs, openRootfs(*container_, userNamespace.get()));
    engine_.closeLater(std::move(rootfs.image));
    engine_.closeLater(std::move(rootfs.bottom));
    UniqueFd& root = rootfs.root;
    DROVER_TRY(makeMountPoints(*container_, spec_, root.get()));
    crashPoint("start:root");
    DROVER_TRY(handMounts(sync, root.get()));
    crashPoint("start:handed");
    DROVER_TRY(makeDevices(*container_, spec_, rootfs));
    DROVER_TRY(writeRootFiles(*container_, spec_, root.get()));
    root.reset();
    DROVER_TRY_ASSIGN(network, openNetworkNamespace(pid));
    DROVER_TRY(createVeth(network.get(), spec_));
    if (spec_.security.addressFilter) DROVER_TRY(filterAddresses(spec_.identity));
    crashPoint("start:network");
    DROVER_TRY(limitNetwork(network.get(), spec_.identity, spec_.limits));
    DROVER_TRY(ofItsOwn(setSysctls(pid, spec_.sysctls)));
    DROVER_TRY(ofItsOwn(raiseResourceLimits(pid, spec_.rlimits)));
    DROVER_TRY(engine_.bridges().attach(spec_));
    crashPoint("start:attached");
    // The record before the word: whatever runs a program of the container's, a next engine must find.
    DROVER_TRY(engine_.watchInit(container_, pid, [&](Record& record) {
      record.state = State::running;
      record.startedAtMs = nowMs();
      record.starts += 1;
    }));
    crashPoint("start:recorded");
    // It may have ended since, and then nobody froze what had no init yet.
    DROVER_TRY(engine_.lease().check("start", container_->snapshot()));
    DROVER_TRY(bringDevices(pid, sync));
    DROVER_TRY(letGo(sync));
    crashPoint("start:running");
    // A first start has nobody to tell: its address was not in use lately, and an announcement costs every other container on the bridge.
    if (spec_.epoch == 1) return {};
    auto announced = announce(network.get(), spec_.identity);
    if (announced.ok()) engine_.closeLater(std::move(announced.value()));
    else logLine("warn", announced.error().message);
    return {};
  }

  Engine& engine_;
  std::shared_ptr<Container> container_;
  const Spec spec_;
};

}  // namespace

Status startContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  if (before.state == State::running) return {};
  if (before.state != State::created && before.state != State::stopped)
    return Error{"WRONG_STATE", "start " + container->id + ": it is " + stateName(before.state) + ", must be created or stopped"};
  DROVER_TRY(engine.lease().check("start", before));
  container->stopping = false;
  Status status = Starting(engine, container).run();
  if (status.ok()) {
    engine.ranOneMore();
    return {};
  }
  if (Status cleaned = engine.killProcesses(*container); !cleaned.ok()) logLine("error", cleaned.error().message);
  Status reset = engine.update(*container, [&](Record& record) {
    record.state = before.state;
    record.initPid = 0;
    record.startedAtMs = before.startedAtMs;
    record.starts = before.starts;
  });
  if (!reset.ok()) logLine("error", reset.error().message);
  return status;
}

EnvironmentBlock::EnvironmentBlock(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) strings_.push_back(name + "=" + value);
  for (auto& entry : strings_) pointers_.push_back(entry.data());
  pointers_.push_back(nullptr);
}

ArgumentBlock::ArgumentBlock(std::vector<std::string> arguments) : strings_(std::move(arguments)) {
  for (auto& entry : strings_) pointers_.push_back(entry.data());
  pointers_.push_back(nullptr);
}

std::map<std::string, std::string> baseEnvironment(const Spec& spec) {
  std::map<std::string, std::string> variables = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", "/root"},
      {"TERM", "linux"},
      {"container", "drover"},
  };
  for (const auto& [name, value] : spec.environment) variables[name] = value;
  return variables;
}

}  // namespace drover
