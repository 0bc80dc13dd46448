// The engine methods that move a running container: checkpoint, prepareRestore, restore, release (messages.ts says what
// each promises). All are called on the container's operation queue, after the epoch was checked; each returns the
// method's result as JSON.
//
// What makes them crash-safe: the container's freezer, not CRIU, decides whether it runs. It is frozen before a dump, and CRIU
// leaves a cgroup that it found frozen frozen; it is frozen again (`pre-resume`) before a restore lets go of the tasks. So at no
// time after a dump or restore does an instruction of the container run until `thaw` or `release`, whoever crashes. What was
// under way is in the record's `extra.move` before it starts, for recoverMove.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "container.h"
#include "engine.h"
#include "error.h"

namespace drover {

Result<nlohmann::json> checkpointContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                           const std::string& directory);
/** How it was where it comes from. */
struct Arrival {
  std::optional<int64_t> startedAtMs;
  int64_t starts = 0;
  /** It stood still there and shall here: `release` does not wake it. */
  bool frozen = false;
  /** Frozen at its limit of memory: what it was given beyond. */
  int64_t memoryRoomBytes = 0;
  /** Where the images will be, if that is known already; the folder is there. CRIU is then made ready ahead. */
  std::string directory = {};
};
/** The container has been made (Engine::create) already; its state is `created`. */
Result<nlohmann::json> prepareRestore(Engine& engine, const std::shared_ptr<Container>& container, const Arrival& arrival);
/** A part of the memory that was sent ahead, laid into `directory`, goes into the pages that the restored processes will have: {staged}. */
Result<nlohmann::json> stageMemory(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, uint32_t part, int64_t bytes);
Result<nlohmann::json> restoreContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                        const std::string& directory);
Result<nlohmann::json> releaseContainer(Engine& engine, const std::shared_ptr<Container>& container);
/** Before thaw of a `checkpointed` one and before delete: ends a criu that still waits for this container, if any. */
void forgetCheckpoint(Engine& engine, Container& container);
/**
 * For an adopted container, before its state is believed: a dump that a former engine left half-done is undone (it runs on),
 * a half-done restore is removed (`created` again). Does nothing for all others.
 */
Status recoverMove(Engine& engine, const std::shared_ptr<Container>& container);
/** EngineHello.criu */
nlohmann::json criuInfo(const Config& config);
/** Lets CRIU probe the kernel now (tens of ms) rather than in the first blackout. */
void warmCriu(const Config& config);

}  // namespace drover
