// The destination's half of a move: prepareRestore, restore, release. See checkpoint.h.

#include <fcntl.h>
#include <filesystem>
#include <future>
#include <unistd.h>

#include "address_filter.h"
#include "attach_warmer.h"
#include "cgroup_tree.h"
#include "checkpoint.h"
#include "cpu_affinity.h"
#include "crash_point.h"
#include "criu_move.h"
#include "devices.h"
#include "disk_limit.h"
#include "idmap.h"
#include "link_remaps.h"
#include "memory_copy.h"
#include "mounts.h"
#include "netlink.h"
#include "network_rate.h"
#include "network_state.h"
#include "overlay_origin.h"
#include "pidfd.h"
#include "prepared_restore.h"
#include "root_files.h"
#include "socket_options.h"
#include "sysctl.h"
#include "view_mounts.h"

namespace drover {
namespace {

constexpr const char* failed = restoreFailed;
constexpr int reapDeadlineMs = 2000;
/** The root file system at a path, for as long as CRIU needs it there. */
class AttachedRoot {
 public:
  static Result<std::unique_ptr<AttachedRoot>> attach(Engine& engine, const Container& container, int userNamespace) {
    DROVER_TRY(detachMount(container.rootfs()));
    // The agent has copied the upper since prepareRestore; until now nothing was mounted on it.
    DROVER_TRY(dropOverlayOrigins(container.upper()));
    DROVER_TRY(holdDisk(container, container.snapshot().spec));
    DROVER_TRY_ASSIGN(mount, openRootfs(container, userNamespace));
    engine.closeLater(std::move(mount.image));
    engine.closeLater(std::move(mount.bottom));
    // They may have been of the other host's layer below, and not come with the disk.
    if (!mount.hasBottom) {
      DROVER_TRY(makeMountPoints(container, container.snapshot().spec, mount.root.get()));
      DROVER_TRY(makeDevices(container, container.snapshot().spec, mount));
    }
    DROVER_TRY(attachMount(mount.root.get(), container.rootfs()));
    return std::unique_ptr<AttachedRoot>(new AttachedRoot(engine, std::move(mount.root)));
  }
  /** To detach a mount waits for a grace period of the kernel; the container need not. */
  ~AttachedRoot() {
    engine_.later([mount = std::make_shared<UniqueFd>(std::move(mount_))] {
      detachThis(mount->get());
      mount->reset();
    });
  }

 private:
  AttachedRoot(Engine& engine, UniqueFd mount) : engine_(engine), mount_(std::move(mount)) {}
  Engine& engine_;
  UniqueFd mount_;
};

using Attaching = std::future<Result<std::unique_ptr<AttachedRoot>>>;

/**
 * Before there is a task its root has to be attached: what it copies of the host's mounts it copies when it is made. Then the tasks exist, stopped,
 * in namespaces still empty: makes the network, and at the end has the freezer hold the tasks.
 */
class RestoreSteps {
 public:
  RestoreSteps(Engine& engine, const Spec& spec, int images) : engine_(engine), spec_(spec), images_(images) {}

  /** While CRIU reads its images. */
  void attach(Attaching attaching) { attaching_ = std::move(attaching); }

  bool notified(std::string_view script, pid_t pid) {
    if (pid > 0) pid_ = pid;
    if (script == "pre-restore") status_ = takeRoot();
    // While CRIU makes the mounts, which takes about as long. No process looks at the network before.
    if (script == "setup-namespaces") {
      crashPoint("restore:namespaces");
      network_ = std::async(std::launch::async, [this, pid] { return makeNetwork(pid); });
    }
    if (script == "post-setup-namespaces") {
      status_ = network_.valid() ? network_.get() : engineError("CRIU made no namespaces");
      crashPoint("restore:network");
    }
    // CRIU still traces them all: once frozen here, letting go of them does not let them run.
    if (script == "pre-resume") {
      crashPoint("restore:stopped");
      status_ = engine_.cgroups().freeze(spec_.container);
      crashPoint("restore:frozen");
    }
    return status_.ok();
  }
  const Status& status() const { return status_; }
  /** The root of the tree, once it is there; 0 before. */
  pid_t pid() const { return pid_; }

 private:
  Status takeRoot() {
    auto root = attaching_.get();
    if (!root.ok()) return root.error();
    root_ = std::move(root.value());
    crashPoint("restore:mounted");
    return {};
  }

  Status makeNetwork(pid_t pid) {
    DROVER_TRY_ASSIGN(network, openNetworkNamespace(pid));
    DROVER_TRY(createVeth(network.get(), spec_));
    if (spec_.security.addressFilter) DROVER_TRY(filterAddresses(spec_.identity));
    DROVER_TRY(prepareDevices(engine_, spec_, network.get()));
    DROVER_TRY(setSysctls(pid, spec_.sysctls, SysctlScope::network));
    DROVER_TRY_ASSIGN(withSysctls, restoreNetwork(network.get(), images_));
    if (withSysctls) engine_.cgroups().noteWrittenSysctls(spec_.container);
    return limitNetwork(network.get(), spec_.identity, spec_.limits);
  }

  Engine& engine_;
  const Spec& spec_;
  const int images_;
  Status status_;
  pid_t pid_ = 0;
  Attaching attaching_;
  std::unique_ptr<AttachedRoot> root_;
  /** Its destructor waits for the end. */
  std::future<Status> network_;
};

/** A CRIU that was killed leaves its tasks to the engine; they have been killed, and the root of the tree wants to be reaped. */
void reapRoot(pid_t pid) {
  if (pid <= 0) return;
  auto pidfd = openPidfd(pid);
  if (pidfd.ok() && waitPidfd(pidfd.value().get(), reapDeadlineMs)) (void)endedStatus(pidfd.value().get());
}

}  // namespace

Result<nlohmann::json> prepareRestore(Engine& engine, const std::shared_ptr<Container>& container, const Arrival& arrival) {
  const Record before = container->snapshot();
  // Repeated after the restore was done: nothing to prepare.
  if (before.state == State::restored) return engine.describe(*container);
  // Stopped: a snapshot with memory is put back in place.
  if (before.state != State::created && before.state != State::stopped) return wrongState(*container, "prepare the restore of", before.state, "created or stopped");
  // Directories of the host that it is given are known to CRIU by where they are attached, which they are not yet.
  const bool ahead = !arrival.directory.empty() && bindMountsForDump(before.spec).empty();
  DROVER_TRY_ASSIGN(prepared, prepareForRestore(engine, before.spec, arrival.memoryRoomBytes, ahead));
  if (ahead) askAhead(engine, *container, arrival.directory, prepared);
  crashPoint("prepare:ready");
  DROVER_TRY(engine.update(*container, [&](Record& record) {
    record.state = State::created;
    record.startedAtMs = arrival.startedAtMs;
    record.starts = arrival.starts;
    record.extra["arrivesFrozen"] = arrival.frozen;
    record.extra["move"] = moveNote("restore", *prepared.criu);
    record.memoryRoomBytes = arrival.memoryRoomBytes;
  }));
  keepAttachingWarm(warmBeforeRestore);
  keepPrepared(container->id, std::move(prepared));
  return engine.describe(*container);
}

Result<nlohmann::json> restoreContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                        const std::string& directory) {
  const Record before = container->snapshot();
  if (before.state == State::restored) return moveResult(engine, *container, before.extra.value("figures", nlohmann::json::object()));
  if (before.state != State::created) return wrongState(*container, "restore", before.state, "created");
  UniqueFd images(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!images.valid()) return errnoError("open the image directory " + directory);

  Figures figures;
  keepAttachingWarm(warmInRestore);
  warmViewMounts(engine.view().root());
  DROVER_TRY_ASSIGN(prepared, readyFor(engine, *container, before, directory));
  // Mostly it is noted since prepareRestore.
  if (container->snapshot().extra.value("move", nlohmann::json()) != moveNote("restore", *prepared.criu))
    DROVER_TRY(beginMove(engine, *container, "restore", *prepared.criu));
  crashPoint("restore:begun");
  figures.lap("prepare_ms");
  RestoreSteps steps(engine, before.spec, images.get());
  auto restore = [&]() -> Result<pid_t> {
    steps.attach(std::async(std::launch::async, [&] { return AttachedRoot::attach(engine, *container, prepared.userNamespace.get()); }));
    if (engine.cgroups().freezerIsUnified())
      DROVER_TRY(restoreCgroupTree(engine.cgroups().freezerDirectory(container->id), images.get()));
    DROVER_TRY_ASSIGN(binds, AttachedBinds::attach(before.spec, prepared.userNamespace.get()));
    figures.lap("mount_ms");
    CriuRequest request = criuRequest(engine, CriuRequest::Kind::restore, *container, images.get());
    request.external.insert(request.external.end(), binds->external().begin(), binds->external().end());
    CriuAnswer answer = prepared.criu->run(request, criuDeadline, [&](std::string_view script, pid_t pid) {
      return steps.notified(script, pid);
    });
    figures.lap("restore_ms");
    if (!steps.status().ok()) return steps.status().error();
    if (!answer.success) return engineError(answer.error);
    if (!engine.cgroups().staysFrozen(container->id)) return engineError("the freezer does not hold the restored processes");
    // They are where they were at the dump; a snapshot's limits may be others than today's.
    DROVER_TRY(engine.cgroups().gather(container->id));
    DROVER_TRY(restoreAffinities(engine.cgroups(), container->id, images.get()));
    DROVER_TRY(restoreSocketOptions(engine.cgroups().processes(container->id), images.get()));
    return answer.pid;
  };
  auto fail = [&](const std::string& reason) {
    std::string text = "restore of " + container->id + ": " + reason;
    if (Status killed = engine.killProcesses(*container); !killed.ok()) text += "; and to remove its processes: " + killed.error().message;
    reapRoot(steps.pid());
    if (Status ended = endMove(engine, *container, [](Record& record) { record.state = State::created; record.initPid = 0; }); !ended.ok())
      text += "; " + ended.error().message;
    return Error{failed, text};
  };
  Result<pid_t> pid = restore();
  if (!pid.ok()) return fail(pid.error().message);
  crashPoint("restore:left");
  forgetLog(images.get());
  Status watched = engine.watchInit(container, pid.value(), [&](Record& record) {
    record.state = State::restored;
    record.extra.erase("move");
    record.extra["figures"] = figures.json();
  });
  if (!watched.ok()) return fail(watched.error().message);
  endLater(engine, std::move(prepared.criu));
  crashPoint("restore:recorded");
  return moveResult(engine, *container, figures.json());
}

Result<nlohmann::json> releaseContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  // Repeated: it was released before, maybe by an engine that died right after.
  if (before.state == State::running || before.state == State::frozen) return moveResult(engine, *container, before.extra.value("figures", nlohmann::json::object()));
  if (before.state != State::restored) return wrongState(*container, "release", before.state, "restored");
  DROVER_TRY(engine.lease().check("release", before));
  DROVER_TRY_ASSIGN(network, openNetworkNamespace(before.initPid));
  Figures figures;
  DROVER_TRY(engine.bridges().attach(before.spec));
  DROVER_TRY(attachNics(before.spec));
  // The kernel's TCP spoke up while the link led nowhere.
  DROVER_TRY(forgetNeighbours(network.get(), before.spec.identity));
  engine.cgroups().holdRunLimits(container->id, before.spec.limits);
  figures.lap("attach_ms");
  crashPoint("release:attached");
  const bool wakes = !before.extra.value("arrivesFrozen", false);
  if (wakes) {
    DROVER_TRY(engine.cgroups().thaw(container->id));
    figures.set("resumedAtNs", realtimeNs());
    figures.lap("thaw_ms");
    crashPoint("release:thawed");
  }
  // It runs: a failure from here on is no reason to call it not released. Peers then learn the address from its traffic.
  auto announced = announce(network.get(), before.spec.identity);
  figures.lap("announce_ms");
  figures.set("announced", announced.ok() ? 1 : 0);
  if (announced.ok()) engine.closeLater(std::move(announced.value()));
  DROVER_TRY(engine.update(*container, [&](Record& record) {
    record.state = wakes ? State::running : State::frozen;
    record.extra["figures"] = figures.json();
    record.extra.erase("arrivesFrozen");
  }));
  // It may come from a host without lxcfs.
  engine.refreshView(container);
  engine.refreshDevices(container);
  engine.ranOneMore();
  return moveResult(engine, *container, figures.json());
}

void forgetCheckpoint(Engine&, Container& container) {
  takeMemoryCopy(container.id);
  takePrepared(container.id);
  // Images of a dump that is over with, one way or the other, are of no use and hold memory.
  std::string images = container.snapshot().extra.value("checkpointDirectory", "");
  if (container.snapshot().state == State::checkpointed)
    removeLinkRemaps(container, container.snapshot().extra.value("linkRemaps", std::vector<std::string>()));
  std::error_code ignored;
  if (!images.empty()) std::filesystem::remove_all(images, ignored);
  (void)detachMount(container.rootfs()).ok();
}

}  // namespace drover
