// The supervisor's table, queues and records. See engine.h; engine_life.cc has the ends of inits and adoption.
#include "engine.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>

#include "checkpoint.h"
#include "crash_point.h"
#include "devices.h"
#include "disk_limit.h"
#include "exchange_file.h"
#include "file_io.h"
#include "json_io.h"
#include "log.h"
#include "memory_copy.h"
#include "memory_guard.h"
#include "mounts.h"
#include "netlink.h"
#include "overlay_origin.h"
#include "pidfd.h"
#include "record.h"
#include "tree_hash.h"
#include "view_mounts.h"

namespace drover {

namespace {

/** Grace periods are shared by who waits at the same time; each container has two jobs here at most. */
constexpr size_t patientWorkers = 4;
constexpr size_t mostQueuedJobs = 4096;
constexpr size_t mostPendingPerContainer = 64;
/** So that the answer to `list` fits into one frame. */
constexpr size_t mostContainers = 2'000;
constexpr int killDeadlineMs = 10'000;
constexpr int endSessionsDeadlineMs = 5'000;

}  // namespace

Engine::Engine(Config config, Cgroups cgroups, OwnCache& ownCache, SeccompProgram seccomp, InitSpawner& spawner, EventLoop& loop)
    : config_(std::move(config)),
      cgroups_(std::move(cgroups)),
      seccomp_(std::move(seccomp)),
      spawner_(spawner),
      loop_(loop),
      ownCache_(ownCache),
      view_(config_.stateDirectory, loop),
      lease_(*this),
      bridges_(config_.bridge),
      settler_(*this),
      patient_(patientWorkers, mostQueuedJobs),
      pool_(workers, mostQueuedJobs) {}

std::shared_ptr<Container> Engine::find(const std::string& id) const {
  std::lock_guard lock(mutex_);
  auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Container>> Engine::all() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Container>> list;
  list.reserve(containers_.size());
  for (const auto& [id, container] : containers_) list.push_back(container);
  return list;
}

Result<std::shared_ptr<Container>> Engine::create(const Spec& spec) {
  std::lock_guard creating(createMutex_);
  if (auto known = find(spec.container)) {
    Record record = known->snapshot();
    if (spec.epoch < record.spec.epoch) return checkEpoch(*known, spec.epoch).error();
    if (spec.epoch > record.spec.epoch) DROVER_TRY(update(*known, [&](Record& changed) { changed.spec = spec; }));
    return known;
  }
  if (all().size() >= mostContainers)
    return Error{"LIMIT_REACHED", "create " + spec.container + ": this host has " + std::to_string(mostContainers) + " containers, the limit"};
  struct stat image;
  if (stat(spec.rootfs.c_str(), &image) != 0) return Error{"IMAGE_NOT_FOUND", errnoError("create " + spec.container + ": image " + spec.rootfs).message};
  if (!S_ISDIR(image.st_mode)) return badRequest("field `rootfs`: " + spec.rootfs + " is not a directory");

  DROVER_TRY(checkSyscalls(spec.security));
  Record record;
  record.spec = spec;
  auto container = std::make_shared<Container>(config_.stateDirectory, record);
  auto make = [&]() -> Status {
    DROVER_TRY(makeDirectory(container->directory, 0700));
    DROVER_TRY(makeDirectory(container->upper(), 0755));
    DROVER_TRY(makeDirectory(container->work(), 0700));
    DROVER_TRY(makeDirectory(container->rootfs(), 0700));
    crashPoint("create:directories");
    if (chmod(container->upper().c_str(), image.st_mode & 07777) != 0 ||
        chown(container->upper().c_str(), spec.owner() + image.st_uid, spec.owner() + image.st_gid) != 0)
      return errnoError("give " + container->upper() + " to the container");
    DROVER_TRY(holdDisk(*container, spec));
    DROVER_TRY(saveNewRecord(container->directory, record));
    crashPoint("create:recorded");
    return {};
  };
  if (Status made = make(); !made.ok()) {
    if (Status removed = removeTree(container->directory); !removed.ok()) logLine("error", removed.error().message);
    return made.error();
  }
  {
    std::lock_guard lock(mutex_);
    containers_[spec.container] = container;
  }
  loop_.post([this, container] {
    if (onChange) onChange(container);
  });
  return container;
}

Status Engine::checkEpoch(Container& container, int64_t epoch) {
  int64_t recorded = container.snapshot().spec.epoch;
  if (epoch < recorded)
    return Error{"STALE_EPOCH", "container " + container.id + ": epoch " + std::to_string(epoch) + " is over, the recorded one is " + std::to_string(recorded)};
  if (epoch > recorded) return update(container, [&](Record& record) { record.spec.epoch = epoch; });
  return {};
}

void Engine::ranOneMore() {
  if (ownCache_.full()) later([this] { ownCache_.empty(); });
}

bool Engine::enqueue(const std::shared_ptr<Container>& container, std::function<void()> job, bool always) {
  {
    std::lock_guard lock(container->mutex);
    if (container->busy) {
      if (!always && container->pending.size() >= mostPendingPerContainer) return false;
      container->pending.push_back(std::move(job));
      return true;
    }
    container->busy = true;
  }
  if (pool_.submit([this, container, job = std::move(job)] { runNext(container, job); }, always)) return true;
  std::lock_guard lock(container->mutex);
  container->busy = false;
  return false;
}

void Engine::runNext(const std::shared_ptr<Container>& container, const std::function<void()>& job) {
  job();
  std::function<void()> next;
  {
    std::lock_guard lock(container->mutex);
    if (container->pending.empty()) {
      container->busy = false;
      return;
    }
    next = std::move(container->pending.front());
    container->pending.pop_front();
  }
  // Through the pool's queue, so that one container with many jobs does not hold a worker.
  pool_.submit([this, container, next = std::move(next)] { runNext(container, next); }, true);
}

Status Engine::update(Container& container, const std::function<void(Record&)>& change) {
  Status saved;
  std::shared_ptr<Container> shared;
  {
    std::lock_guard lock(container.mutex);
    if (container.deleted) return Error{"CONTAINER_NOT_FOUND", "container " + container.id + ": it has been deleted"};
    change(container.record);
    auto written = exchangeFile(recordPath(container.directory), recordToText(container.record));
    if (!written.ok()) saved = written.error();
    else later([exchanged = std::make_shared<Exchanged>(std::move(written.value()))] { finishExchange(*exchanged); });
  }
  settler_.note(container.id);
  shared = find(container.id);
  if (shared) announce(shared);
  return saved;
}

Status Engine::updateDurably(Container& container, const std::function<void(Record&)>& change) {
  DROVER_TRY(update(container, change));
  return settleRecord(container);
}

void Engine::announce(const std::shared_ptr<Container>& container) {
  loop_.post([this, container] {
    if (onChange) onChange(container);
  });
}

void Engine::tellImagesComplete(const std::string& container, bool diskStands) {
  loop_.post([this, container, diskStands] {
    if (onImagesComplete) onImagesComplete(container, diskStands);
  });
}

Status Engine::killProcesses(Container& container) {
  const Record record = container.snapshot();
  auto pidfd = unwatchInit(container);
  proxies_.end(container.id);
  DROVER_TRY(cgroups_.killAll(container.id));
  crashPoint("kill:signalled");
  if (pidfd) {
    // Also one that never came to join its cgroups.
    DROVER_TRY(signalPidfd(pidfd->get(), SIGKILL));
    if (!waitPidfd(pidfd->get(), killDeadlineMs))
      return Error{"TIMED_OUT", "kill " + container.id + ": init (" + std::to_string(record.initPid) + ") still lives after " + std::to_string(killDeadlineMs) + " ms"};
    endedStatus(pidfd->get());
  }
  crashPoint("kill:ended");
  DROVER_TRY(bridges_.destroy(record.spec.identity));
  DROVER_TRY(removeNics(container));
  crashPoint("kill:unplugged");
  DROVER_TRY(cgroups_.remove(container.id));
  crashPoint("kill:removed");
  std::lock_guard lock(container.mutex);
  container.record.initPid = 0;
  return {};
}

namespace {

/** Only as something to compare with: nothing of this host's mounts is left in it. What can't be kept, on another file system say, goes. */
void keepLayer(const Container& container, const std::string& keep) {
  Status ready = dropOverlayOrigins(container.upper());
  if (ready.ok() && rename(container.upper().c_str(), keep.c_str()) != 0) ready = errnoError("keep the layer of " + container.id + " as " + keep);
  if (!ready.ok()) logLine("info", ready.error().message);
}

}  // namespace

Status Engine::removeContainer(const std::shared_ptr<Container>& container, const std::string& keep) {
  forgetCheckpoint(*this, *container);
  forgetTree(container->id);
  takeMemoryCopy(container->id);
  DROVER_TRY(killProcesses(*container));
  DROVER_TRY(detachMount(container->rootfs()));
  crashPoint("delete:killed");
  // Without a record a directory is rubbish to the next engine: from here on the deletion is finished by anyone.
  const std::string path = recordPath(container->directory);
  (void)unlink((path + keptSuffix).c_str());
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return errnoError("remove the record of " + container->id);
  crashPoint("delete:unrecorded");
  {
    std::lock_guard lock(container->mutex);
    container->deleted = true;
    container->record.state = State::stopped;
  }
  // Whoever waits for its end has waited long enough.
  loop_.post([this, container] {
    if (onChange) onChange(container);
  });
  if (!keep.empty()) keepLayer(*container, keep);
  DROVER_TRY(removeTree(container->directory));
  forgetDiskLimit(config_.stateDirectory, container->snapshot().spec);
  crashPoint("delete:removed");
  std::lock_guard lock(mutex_);
  auto found = containers_.find(container->id);
  if (found != containers_.end() && found->second == container) containers_.erase(found);
  return {};
}

void Engine::endExecSessions(Container& container) {
  struct Gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool open = false;
  };
  auto gate = std::make_shared<Gate>();
  loop_.post([this, gate, id = container.id] {
    auto done = [gate] {
      std::lock_guard lock(gate->mutex);
      gate->open = true;
      gate->opened.notify_all();
    };
    if (onEndExecSessions) onEndExecSessions(id, done);
    else done();
  });
  std::unique_lock lock(gate->mutex);
  gate->opened.wait_for(lock, std::chrono::milliseconds(endSessionsDeadlineMs), [&] { return gate->open; });
}

void Engine::beginView() {
  auto refreshAll = [this] {
    for (const auto& container : all()) refreshView(container);
  };
  view_.begin(refreshAll);
  refreshAll();
}

void Engine::refreshView(const std::shared_ptr<Container>& container) {
  enqueue(container, [this, container] {
    State state = container->snapshot().state;
    std::string root = view_.root();
    if (root.empty() || (state != State::running && state != State::frozen)) return;
    Status mounted = mountView(root, cgroups_.processes(container->id));
    if (!mounted.ok()) logLine("warn", "container " + container->id + " sees the host's numbers: " + mounted.error().message);
  }, true);
}

void Engine::refreshDevices(const std::shared_ptr<Container>& container) {
  enqueue(container, [this, container] {
    const Record record = container->snapshot();
    if ((record.state != State::running && record.state != State::frozen) || !hasDevices(record)) return;
    Status applied = applyDevices(*this, *container, record.initPid, record.spec.devices);
    if (!applied.ok()) logLine("warn", "devices of " + container->id + ": " + applied.error().message);
  }, true);
}

void Engine::devicesChanged() {
  // Each start of a container is such a change, too: nothing of a thousand others is copied for it.
  auto concerned = [](const Container& container) {
    std::lock_guard lock(container.mutex);
    const auto& devices = container.record.spec.devices;
    return container.record.initPid > 0 && std::any_of(devices.begin(), devices.end(), [](const Device& device) {
      return device.type == Device::Type::usb || (!device.required && device.type != Device::Type::bind);
    });
  };
  for (const auto& container : all())
    if (concerned(*container)) refreshDevices(container);
}

Json Engine::describe(const Container& container) {
  const Record record = container.snapshot();
  bool alive = record.initPid > 0;
  MemoryState memory;
  {
    std::lock_guard lock(container.mutex);
    memory = container.memory;
  }
  CgroupUsage usage = alive ? cgroups_.usage(container.id) : CgroupUsage();
  // Its use grows without a notification as well, as file pages give way to others.
  int64_t limit = record.spec.limits.memoryBytes;
  if (alive && limit > 0 && (usage.memoryBytes >= nearLimit(limit)) != memory.nearLimit)
    if (auto known = find(container.id)) lookAtMemory(*this, known);
  Json described = {
      {"container", container.id},
      {"name", record.spec.name},
      {"epoch", record.spec.epoch},
      {"state", stateName(record.state)},
      {"initPid", alive ? Json(record.initPid) : Json(nullptr)},
      {"startedAtMs", record.startedAtMs ? Json(*record.startedAtMs) : Json(nullptr)},
      {"starts", record.starts},
      {"exit", record.exit ? Json({{"reason", record.exit->reason}, {"status", record.exit->status}}) : Json(nullptr)},
      {"upper", container.upper()},
      {"memoryBytes", usage.memoryBytes},
      {"cpuUsec", usage.cpuUsec},
      {"processes", usage.processes},
      {"limits", limitsToJson(record.spec.limits)},
      {"memory",
       {{"nearLimit", alive && memory.nearLimit},
        {"frozenAtLimit", alive && record.memoryRoomBytes > 0},
        {"oomKills", memory.oomKills},
        {"killed", memory.killed.empty() ? Json(nullptr) : Json(memory.killed)}}},
      {"devices", devicesToJson(record.spec.devices)},
      {"leased", lease_.names(record)},
      {"fenced", alive && record.fenced},
  };
  // Nearly all are as usual, and are told of often.
  if (alive && record.memoryRoomBytes > 0) described["memoryRoomBytes"] = record.memoryRoomBytes;
  if (record.spec.security != Security()) described["security"] = securityToJson(record.spec.security);
  if (!record.spec.sysctls.empty()) described["sysctls"] = sysctlsToJson(record.spec.sysctls);
  if (!record.spec.rlimits.empty()) described["rlimits"] = resourceLimitsToJson(record.spec.rlimits);
  return described;
}

}  // namespace drover
