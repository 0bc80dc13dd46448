#include "checkpoint.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_tree.h"
#include "cpu_affinity.h"
#include "crash_point.h"
#include "criu_images.h"
#include "criu_move.h"
#include "devices.h"
#include "file_io.h"
#include "link_remaps.h"
#include "mapping_texts.h"
#include "memory_copy.h"
#include "netlink.h"
#include "network_state.h"
#include "network_sysctls.h"
#include "pidfd.h"
#include "socket_options.h"
#include "watched_names.h"

namespace drover {
namespace {

namespace fs = std::filesystem;

constexpr const char* failed = "CHECKPOINT_FAILED";
/** Beside the images: what copyMemory has sent ahead. */
constexpr const char* parentDirectory = "parent";
/** For a criu that a dead engine left: its socket is closed, so it gives up at its next notification. */
constexpr int leftCriuDeadlineMs = 5000;
/** With a hundred bytes or so for each open file: no container has so many. */
constexpr size_t largestImage = 1 << 30;

/** An empty directory for the images: 0755, because tasks of the user namespace open it; its parent is 0700. */
Result<UniqueFd> makeImageDirectory(const std::string& directory) {
  std::error_code error;
  fs::path path = fs::path(directory).lexically_normal();
  if (!path.is_absolute() || !path.has_filename() || path.parent_path() == path.root_path())
    return Error{"BAD_REQUEST", "directory must be an absolute path of at least two parts, not " + directory};
  mode_t private_ = 0700;
  if (mkdir(path.parent_path().c_str(), private_) != 0 && errno != EEXIST) {
    fs::create_directories(path.parent_path().parent_path(), error);
    if (mkdir(path.parent_path().c_str(), private_) != 0 && errno != EEXIST) return errnoError("make " + path.parent_path().string());
  }
  fs::remove_all(path, error);
  if (mkdir(path.c_str(), 0755) != 0) return errnoError("make the image directory " + directory);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fchmod(fd.get(), 0755) != 0) return errnoError("open the image directory " + directory);
  return fd;
}

/** The way back from a failed or unfinished dump: it runs on, or stands still, as if nothing had been. */
Status resume(Engine& engine, const std::shared_ptr<Container>& shared) {
  Container& container = *shared;
  const Record record = container.snapshot();
  if (hasProxies(record.spec)) engine.loop().post([&engine, shared] { engine.refreshDevices(shared); });
  engine.cgroups().holdRunLimits(container.id, record.spec.limits);
  // Without its lease it stays frozen until that is back.
  if (record.state == State::running && !engine.lease().holds(record))
    return endMove(engine, container, [](Record& changed) {
      changed.state = State::frozen;
      changed.fenced = true;
    });
  Status attached = engine.bridges().attach(record.spec);
  // A CRIU that died may have left the freezer open.
  DROVER_TRY(record.state == State::frozen ? engine.cgroups().freeze(container.id) : engine.cgroups().thaw(container.id));
  DROVER_TRY(endMove(engine, container, [](Record&) {}));
  return attached;
}

/** Has a function that gives what an image should be, or none, change the image of that name. */
template <class Mend>
Status mendImage(int directory, const std::string& name, Mend mend) {
  if (faccessat(directory, name.c_str(), F_OK, 0) != 0) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  DROVER_TRY_ASSIGN(image, readFile(path, largestImage));
  DROVER_TRY_ASSIGN(mended, mend(image));
  if (!mended) return {};
  UniqueFd file(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file.valid() || write(file.get(), mended->data(), mended->size()) != static_cast<ssize_t>(mended->size())) return errnoError("mend " + name + " of the dump");
  return {};
}

/** See equalCgroupSets: at a restore, ten moves into cgroups for each process, one by one, into those that it was born in. */
Status mendCgroupSets(int directory) {
  const std::string path = "/proc/self/fd/" + std::to_string(directory);
  DROVER_TRY_ASSIGN(image, readFile(path + "/cgroup.img", largestImage));
  DROVER_TRY_ASSIGN(equal, equalCgroupSets(image));
  if (equal.empty()) return {};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("core-")) DROVER_TRY(mendImage(directory, name, [&](const std::string& core) { return withCgroupSets(core, equal); }));
  }
  return error ? Status(engineError("look through the dump: " + error.message())) : Status();
}

/** CRIU has taken what was passed over for zeros. */
Status referToParent(int directory, const std::map<uint64_t, std::vector<PageRange>>& unchanged) {
  for (const auto& [memory, ranges] : unchanged)
    DROVER_TRY(mendImage(directory, "pagemap-shmem-" + std::to_string(memory) + ".img", [&](const std::string& image) { return withPagesOfParent(image, ranges); }));
  return {};
}

/** Waits for a criu that a former engine started for this container, and kills it if it does not end. */
void endLeftCriu(const nlohmann::json& move) {
  pid_t pid = move.value("criuPid", 0);
  if (pid <= 0) return;
  const uint64_t startTime = processStartTime(pid);
  const bool lives = startTime == move.value("criuStartTime", uint64_t{0});
  if (lives) {
    auto pidfd = openPidfd(pid);
    if (pidfd.ok() && !waitPidfd(pidfd.value().get(), leftCriuDeadlineMs) && signalPidfd(pidfd.value().get(), SIGKILL).ok())
      waitPidfd(pidfd.value().get(), leftCriuDeadlineMs);
  }
  // Another process of that number may be a criu, too.
  if (lives || startTime == 0) removeYard(pid);
}

}  // namespace

Result<nlohmann::json> checkpointContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                           const std::string& directory) {
  const Record before = container->snapshot();
  if (before.state == State::checkpointed && before.extra.value("checkpointDirectory", "") == directory)
    return moveResult(engine, *container, before.extra.value("figures", nlohmann::json::object()));
  if (before.state != State::running && before.state != State::frozen) return wrongState(*container, "checkpoint", before.state, "running or frozen");

  // All that can be done while it runs: criu is up and waits, and the directory is open, before the freeze.
  DROVER_TRY_ASSIGN(criu, spawnCriuForDump(engine, failed, *container));
  if (engine.cgroups().mayHaveWrittenSysctls(container->id)) learnNetworkSysctls();
  engine.endExecSessions(*container);
  auto watched = holdWatchedNames(before.initPid, engine.cgroups().processes(container->id));
  if (!watched.ok()) return Error{failed, "dump of " + container->id + ": " + watched.error().message};
  DROVER_TRY_ASSIGN(images, makeImageDirectory(directory));
  CriuRequest request = criuRequest(engine, CriuRequest::Kind::dump, *container, images.get());
  request.pid = before.initPid;
  request.freezeCgroup = engine.cgroups().freezerDirectory(container->id);
  request.leaveRunning = true;
  // Held until the dump is over: then the kernel forgets what was tracked.
  std::unique_ptr<MemoryCopy> copied = takeMemoryCopy(container->id);
  if (copied && copied->directory() != fs::path(directory).lexically_normal().parent_path() / parentDirectory) copied.reset();
  for (auto& each : bindMountsForDump(before.spec)) request.external.push_back(std::move(each));
  std::unique_ptr<SharedComparison> comparison;
  if (copied && copied->reliable()) {
    request.parentImages = std::string("../") + parentDirectory;
    // Without it the memory that is shared is dumped whole.
    if (auto announced = copied->announceComparison(); announced.ok()) comparison = std::move(announced.value());
  }
  // Whose memory goes ahead has enough of it, or of mappings, for another processor to be of use.
  std::unique_ptr<MappingTexts> mappings = copied ? MappingTexts::make() : nullptr;
  if (mappings) request.mappingTexts = mappings->descriptor();
  DROVER_TRY(beginMove(engine, *container, "dump", *criu));
  engine.cgroups().liftRunLimits(container->id);
  // From here on a failure has them let in again.
  engine.proxies().pause(container->id);
  crashPoint("checkpoint:begun");

  Figures figures;
  Status stopped;
  const bool relies = !request.parentImages.empty();
  std::future<bool> reliable;
  std::future<Status> network;
  bool overtaken = false, standsStill = false, isCutOff = false;
  request.stop = [&] {
    figures.lap("begin_ms");
    figures.set("frozenAtNs", realtimeNs());
    stopped = engine.cgroups().freeze(container->id);
    if (!stopped.ok()) return false;
    figures.lap("freeze_ms");
    crashPoint("checkpoint:frozen");
    standsStill = true;
    if (mappings) mappings->begin([&] { return engine.cgroups().processes(container->id); });
    network = std::async(std::launch::async, saveNetwork, before.initPid, std::cref(before.spec), engine.cgroups().mayHaveWrittenSysctls(container->id), images.get());
    if (comparison) comparison->begin();
    // Since CRIU was asked a process may have begun to let devices write into its memory. While CRIU begins.
    if (relies) reliable = std::async(std::launch::async, [&] { return copied->reliable(); });
    return true;
  };
  // While CRIU seizes the tasks. It asks (`network-lock`) before it looks at a socket.
  auto cutOff = [&]() -> Status {
    // Frozen first, cut off second: what arrives in between is acknowledged by the kernel and part of the dump.
    DROVER_TRY(engine.bridges().detach(before.spec.identity));
    figures.lap("detach_ms");
    if (engine.cgroups().freezerIsUnified()) DROVER_TRY(saveCgroupTree(request.freezeCgroup, images.get()));
    figures.lap("cgroups_ms");
    DROVER_TRY(saveAffinities(engine.cgroups(), container->id, images.get()));
    figures.lap("affinity_ms");
    DROVER_TRY(saveSocketOptions(engine.cgroups().processes(container->id), images.get()));
    figures.lap("sockets_ms");
    crashPoint("checkpoint:detached");
    return {};
  };
  request.beside = [&] {
    if (standsStill) stopped = cutOff();
    isCutOff = standsStill && stopped.ok();
  };
  std::vector<std::string> linkRemaps;
  auto keep = [&]() -> Status {
    overtaken = reliable.valid() && !reliable.get();
    if (overtaken) return engineError("what was copied ahead is not reliable any more");
    DROVER_TRY(network.get());
    DROVER_TRY_ASSIGN(names, keepLinkRemaps(*container, images.get()));
    linkRemaps = std::move(names);
    DROVER_TRY(mendImage(images.get(), "files.img", withTimersArmed));
    if (comparison) DROVER_TRY(referToParent(images.get(), comparison->unchanged()));
    return mendCgroupSets(images.get());
  };
  auto dump = [&]() -> Status {
    Status kept;
    CriuAnswer answer = criu->run(request, criuDeadline, [&](std::string_view script, pid_t) {
      if (script == "network-lock") {
        crashPoint("checkpoint:seized");
        return isCutOff;
      }
      if (script == "post-dump") {
        kept = keep();
        // What is left to CRIU is to let go of the processes, and to delete its link remaps, which come back.
        if (kept.ok()) engine.tellImagesComplete(container->id, linkRemaps.empty());
        crashPoint("checkpoint:dumped");
      }
      return kept.ok();
    });
    figures.lap("dump_ms");
    if (!stopped.ok()) return stopped.error();
    if (!kept.ok()) return kept.error();
    if (!answer.success) return engineError(answer.error);
    // CRIU found the cgroup frozen and must have left it so; if not, the tasks have run on since: the dump is worthless.
    if (!engine.cgroups().staysFrozen(container->id)) return engineError("CRIU left the container running after the dump");
    return putBackLinkRemaps(*container, linkRemaps);
  };
  if (Status dumped = dump(); !dumped.ok()) {
    std::string text = "dump of " + container->id + ": " + dumped.error().message;
    if (Status resumed = resume(engine, container); !resumed.ok()) text += "; and to let it go on: " + resumed.error().message;
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    comparison.reset();
    if (reliable.valid()) reliable.wait();
    if (network.valid()) network.wait();
    copied.reset();
    // Then all of the memory, as if none had been copied.
    if (overtaken && container->snapshot().state == State::running && !container->snapshot().extra.contains("move")) return checkpointContainer(engine, container, directory);
    return Error{failed, text};
  }
  crashPoint("checkpoint:left");
  forgetLog(images.get());
  DROVER_TRY(endMove(engine, *container, [&](Record& record) {
    record.state = State::checkpointed;
    record.extra["checkpointDirectory"] = directory;
    record.extra["frozenBefore"] = before.state == State::frozen;
    record.extra["linkRemaps"] = linkRemaps;
    record.extra["figures"] = figures.json();
  }));
  // Last: it would take the processor. So would the kernel, to forget what was tracked: 8 ms for 200 MB.
  endLater(engine, std::move(criu));
  if (copied) engine.later([held = std::shared_ptr<MemoryCopy>(std::move(copied))]() mutable { held.reset(); });
  crashPoint("checkpoint:recorded");
  return moveResult(engine, *container, figures.json());
}

Status recoverMove(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record record = container->snapshot();
  if (!record.extra.contains("move")) return {};
  const nlohmann::json move = record.extra["move"];
  endLeftCriu(move);
  if (move.value("phase", "") == "dump") {
    Status resumed = resume(engine, container);
    // It may have ended meanwhile; that is for the caller to find out. The note is done with either way.
    if (resumed.ok()) return {};
    DROVER_TRY(endMove(engine, *container, [](Record&) {}));
    return resumed;
  }
  // It was only prepared, and something else was done with the container since.
  if (record.state != State::created) return endMove(engine, *container, [](Record&) {});
  // A restore: nothing of it has run yet, and its images are still at the source.
  forgetCheckpoint(engine, *container);
  DROVER_TRY(engine.killProcesses(*container));
  return endMove(engine, *container, [](Record& r) {
    r.state = State::created;
    r.initPid = 0;
  });
}

}  // namespace drover
