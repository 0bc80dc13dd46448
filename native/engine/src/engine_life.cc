// How inits are watched and what follows when one ends; and how a new engine takes over what an earlier one left.
// See engine.h.
#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "checkpoint.h"
#include "crash_point.h"
#include "devices.h"
#include "disk_replace.h"
#include "engine.h"
#include "exchange_file.h"
#include "file_io.h"
#include "log.h"
#include "memory_guard.h"
#include "mounts.h"
#include "netlink.h"
#include "pidfd.h"
#include "record.h"
#include "start.h"

namespace drover {

namespace {

/** A container that reboots this often, each time within `quickRebootMs` of its start, is left stopped. */
constexpr int mostQuickReboots = 5;
constexpr int64_t quickRebootMs = 2'000;

/** reboot(2) in a pid namespace ends its init as if by SIGHUP (restart) or SIGINT (halt, power off). */
InitExit explain(std::optional<int> status) {
  if (!status) return {"killed", 0};
  if (WIFEXITED(*status)) return {"exit", WEXITSTATUS(*status)};
  int signal = WTERMSIG(*status);
  if (signal == SIGHUP) return {"reboot", signal};
  if (signal == SIGINT) return {"poweroff", signal};
  return {"killed", signal};
}

void warn(const Status& status) {
  if (!status.ok()) logLine("warn", status.error().message);
}

}  // namespace

Status Engine::watchInit(const std::shared_ptr<Container>& container, pid_t pid, const std::function<void(Record&)>& change) {
  DROVER_TRY_ASSIGN(opened, openPidfd(pid));
  auto pidfd = std::make_shared<UniqueFd>(std::move(opened));
  {
    std::lock_guard lock(container->mutex);
    container->initPidfd = pidfd;
  }
  DROVER_TRY(update(*container, [&](Record& record) {
    record.initPid = pid;
    record.initStartTime = processStartTime(pid);
    record.bootId = bootId();
    change(record);
  }));
  loop_.post([this, container, pidfd] { watch(container, pidfd); });
  return {};
}

std::shared_ptr<UniqueFd> Engine::unwatchInit(Container& container) {
  std::shared_ptr<UniqueFd> pidfd;
  {
    std::lock_guard lock(container.mutex);
    pidfd = std::move(container.initPidfd);
    container.initPidfd.reset();
  }
  unguardMemory(*this, container);
  // The loop's own reference keeps the descriptor open until it has been removed there.
  if (pidfd) loop_.post([this, pidfd] { loop_.remove(pidfd->get()); });
  return pidfd;
}

void Engine::watch(const std::shared_ptr<Container>& container, const std::shared_ptr<UniqueFd>& pidfd) {
  {
    std::lock_guard lock(container->mutex);
    if (container->initPidfd != pidfd) return;
    container->memory = {};
  }
  guardMemory(*this, container);
  warn(loop_.add(pidfd->get(), EPOLLIN, [this, container, pidfd](uint32_t) {
    loop_.remove(pidfd->get());
    auto seen = zombieStatus(pidfd->get());
    enqueue(container, [this, container, pidfd, seen] { initEnded(container, pidfd, seen); }, true);
  }));
}

void Engine::initEnded(const std::shared_ptr<Container>& container, const std::shared_ptr<UniqueFd>& pidfd, std::optional<int> seen) {
  {
    std::lock_guard lock(container->mutex);
    // Somebody else has taken care: a kill, a delete.
    if (container->initPidfd != pidfd || container->deleted) return;
    container->initPidfd.reset();
  }
  crashPoint("stop:ended");
  auto status = endedStatus(pidfd->get());
  InitExit exit = explain(status ? status : seen);
  forgetCheckpoint(*this, *container);
  warn(killProcesses(*container));
  crashPoint("stop:cleaned");
  const Record before = container->snapshot();
  bool again = exit.reason == "reboot" && !container->stopping && before.state == State::running;
  bool quick = before.startedAtMs && nowMs() - *before.startedAtMs < quickRebootMs;
  container->quickReboots = again && quick ? container->quickReboots + 1 : 0;
  if (again && container->quickReboots > mostQuickReboots) {
    logLine("warn", "container " + container->id + ": rebooted " + std::to_string(mostQuickReboots) + " times right after its start; left stopped");
    again = false;
  }
  // A reboot is no end: nobody who looks in between, and no next engine, must take it for one.
  warn(update(*container, [&](Record& record) {
    record.state = again ? State::created : State::stopped;
    record.initPid = 0;
    record.memoryRoomBytes = 0;
    record.fenced = false;
    record.exit = exit;
  }));
  if (!again) return;
  if (Status started = startContainer(*this, container); !started.ok()) logLine("error", started.error().message);
}

Status Engine::adopt() {
  lease_.load();
  warn(bridges_.adopt());
  DIR* stream = opendir(config_.stateDirectory.c_str());
  if (!stream) return errnoError("read " + config_.stateDirectory);
  std::vector<std::string> names;
  while (dirent* entry = readdir(stream))
    if (entry->d_type == DT_DIR && isContainerId(entry->d_name)) names.push_back(entry->d_name);
  closedir(stream);

  for (const auto& name : names) {
    std::string directory = config_.stateDirectory + "/" + name;
    auto loaded = loadRecord(directory);
    if (!loaded.ok()) {
      struct stat status;
      if (lstat(recordPath(directory).c_str(), &status) == 0 || errno != ENOENT) {
        // Somebody's data: never removed because it could not be read.
        logLine("error", "record of " + name + ": " + loaded.error().message + "; the container is left alone");
        continue;
      }
      logLine("info", "container " + name + " was half made or half deleted: removed");
      warn(cgroups_.killAll(name));
      warn(cgroups_.remove(name));
      warn(detachMount(directory + "/rootfs"));
      warn(detachMount(directory + "/lower"));
      warn(removeTree(directory));
      continue;
    }
    auto container = std::make_shared<Container>(config_.stateDirectory, loaded.value());
    if (container->id != name) {
      logLine("error", "record of " + name + " names " + container->id + "; the container is left alone");
      continue;
    }
    {
      std::lock_guard lock(mutex_);
      containers_[name] = container;
    }
    if (hasKept(recordPath(directory))) {
      dropUnfinished(recordPath(directory));
      settler_.note(name);
    }
    warn(adoptOne(container));
  }
  bridges_.removeEmpty();
  return {};
}

Status Engine::adoptOne(const std::shared_ptr<Container>& container) {
  // A dump or restore that the last engine had under way: its criu may still be at work.
  warn(recoverMove(*this, container));
  const Record record = container->snapshot();
  if (record.initPid > 0 && record.bootId == bootId()) {
    auto pidfd = openPidfd(record.initPid);
    // The descriptor first, then the check: the pid can't be reused any more while it holds.
    if (pidfd.ok() && processStartTime(record.initPid) == record.initStartTime && cgroups_.contains(container->id, record.initPid) &&
        !waitPidfd(pidfd.value().get(), 0))
      return adoptRunning(container, record, std::move(pidfd.value()));
  }
  warn(detachMount(container->rootfs()));
  warn(detachMount(container->lower()));
  Status killed = killProcesses(*container);
  warn(recoverReplace(*this, *container));
  bool lived = record.state != State::created && record.state != State::stopped;
  if (lived) {
    logLine("info", "container " + container->id + " ended while no engine ran");
    warn(update(*container, [&](Record& changed) {
      changed.state = State::stopped;
      changed.initPid = 0;
      changed.memoryRoomBytes = 0;
      changed.fenced = false;
      changed.exit.reset();
      // The host has booted since: it did not end by itself.
      if (record.bootId != bootId()) changed.exit = InitExit{"host", 0};
    }));
  }
  return killed;
}

Status Engine::adoptRunning(const std::shared_ptr<Container>& container, const Record& record, UniqueFd opened) {
  auto pidfd = std::make_shared<UniqueFd>(std::move(opened));
  container->initPidfd = pidfd;
  loop_.post([this, container, pidfd] { watch(container, pidfd); });
  // Nobody listens for it since the last engine ended.
  if (hasProxies(record.spec)) loop_.post([this, container] { refreshDevices(container); });
  // The record was written before or after each step, never during: bring the freezer to what it says.
  if (record.state == State::running && lease_.holds(record)) {
    // Perhaps the engine died in a freeze or a dump: nothing had been promised yet.
    DROVER_TRY(bridges_.attach(record.spec));
    return cgroups_.thaw(container->id);
  }
  return cgroups_.freeze(container->id);
}

}  // namespace drover
