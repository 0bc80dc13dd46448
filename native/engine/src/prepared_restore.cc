// See prepared_restore.h, and checkpoint.h for stageMemory.
#include "prepared_restore.h"

#include <fcntl.h>
#include <map>
#include <mutex>
#include <unistd.h>

#include "attach_warmer.h"
#include "charged_memory.h"
#include "checkpoint.h"
#include "criu_move.h"
#include "devices.h"
#include "idmap.h"
#include "netlink.h"

namespace drover {
namespace {

/** For a criu that was asked ahead and usually has been waiting for long. */
constexpr std::chrono::milliseconds readyDeadline{1000};
/** For a part of a few megabytes; past it criu probably waits for memory that the container may not have. */
constexpr std::chrono::milliseconds stageDeadline{5000};
/** An eighth of the limit is left to what the container has besides, and to pages that changed: until criu ends they are there twice. */
constexpr int64_t spareShare = 8;

std::mutex preparedMutex;
std::map<std::string, Prepared> preparedByContainer;

/** What lists the pages of a part; the destination's agent writes it before it lays them (messages.ts). */
bool wasLaid(const std::string& directory, uint32_t part) {
  return access((directory + "/parent/laid-" + std::to_string(part)).c_str(), F_OK) == 0;
}

bool fits(const Engine& engine, const Spec& spec, int64_t bytes) {
  const int64_t limit = spec.limits.memoryBytes;
  return limit <= 0 || engine.cgroups().readMemory(spec.container).usage + bytes <= limit - limit / spareShare;
}

bool stage(const Engine& engine, const Spec& spec, Prepared& prepared, uint32_t part, int64_t bytes) {
  if (part != prepared.stagedParts + 1 || !fits(engine, spec, bytes) || !prepared.criu->waits(readyDeadline)) return false;
  keepAttachingWarm(warmBeforeRestore);
  const std::string pid = std::to_string(prepared.criu->pid());
  auto back = chargeMemory(engine.cgroups(), spec.container, prepared.criu->pid());
  if (!back.ok()) return false;
  const bool staged = prepared.criu->stage(part, stageDeadline);
  const bool returned = !back.value().valid() || write(back.value().get(), pid.data(), pid.size()) == static_cast<ssize_t>(pid.size());
  prepared.stagedParts = part;
  return staged && returned;
}

}  // namespace

Result<Prepared> prepareForRestore(Engine& engine, const Spec& spec, int64_t memoryRoomBytes, bool ahead) {
  DROVER_TRY_ASSIGN(criu, spawnCriu(engine, restoreFailed, {.gated = ahead}));
  DROVER_TRY_ASSIGN(userNamespace, makeUserNamespace(spec.owner()));
  // A veth or cgroup of an earlier, failed attempt would be in the way.
  DROVER_TRY(engine.bridges().destroy(spec.identity));
  DROVER_TRY(reserveProxies(engine, spec));
  DROVER_TRY(engine.cgroups().create(spec));
  engine.cgroups().liftRunLimits(spec.container);
  if (memoryRoomBytes > 0 && spec.limits.memoryBytes > 0)
    DROVER_TRY(engine.cgroups().raiseMemory(spec.container, spec.limits.memoryBytes + memoryRoomBytes));
  return Prepared{std::move(criu), std::move(userNamespace)};
}

void askAhead(Engine& engine, const Container& container, const std::string& directory, Prepared& prepared) {
  prepared.images = UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!prepared.images.valid()) return;
  if (prepared.criu->ask(criuRequest(engine, CriuRequest::Kind::restore, container, prepared.images.get()))) prepared.directory = directory;
}

void keepPrepared(const std::string& container, Prepared prepared) {
  std::lock_guard lock(preparedMutex);
  preparedByContainer.insert_or_assign(container, std::move(prepared));
}

std::optional<Prepared> takePrepared(const std::string& container) {
  std::lock_guard lock(preparedMutex);
  auto node = preparedByContainer.extract(container);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

Result<Prepared> readyFor(Engine& engine, const Container& container, const Record& record, const std::string& directory) {
  std::optional<Prepared> prepared = takePrepared(container.id);
  auto serves = [&] {
    if (prepared->directory.empty()) return true;
    // With less than what was laid, memory would be as it was some time ago.
    const bool whole = prepared->stagedParts == 0 || !wasLaid(directory, prepared->stagedParts + 1);
    return prepared->directory == directory && whole && prepared->criu->waits(readyDeadline);
  };
  if (prepared && serves()) return std::move(*prepared);
  prepared.reset();
  return prepareForRestore(engine, record.spec, record.memoryRoomBytes, false);
}

Result<nlohmann::json> stageMemory(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, uint32_t part, int64_t bytes) {
  const Record record = container->snapshot();
  std::optional<Prepared> prepared = takePrepared(container->id);
  if (!prepared) return nlohmann::json{{"staged", false}};
  const bool wanted = prepared->stages && prepared->directory == directory;
  const bool staged = wanted && stage(engine, record.spec, *prepared, part, bytes);
  // What it has is not whole any more: all of it is read when the time comes, by another criu.
  if (!staged && prepared->stagedParts > 0) {
    prepared.reset();
    DROVER_TRY_ASSIGN(again, prepareForRestore(engine, record.spec, record.memoryRoomBytes, true));
    askAhead(engine, *container, directory, again);
    prepared = std::move(again);
  }
  prepared->stages = staged;
  keepPrepared(container->id, std::move(*prepared));
  return nlohmann::json{{"staged", staged}};
}

}  // namespace drover
