// The engine methods that move a running container: checkpoint, prepareRestore, restore, release (messages.ts says what
// each promises). All are called on the container's operation queue, after the epoch was checked; each returns the
// method's result as JSON.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "container.h"
#include "engine.h"
#include "error.h"

namespace drover {

Result<nlohmann::json> checkpointContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                           const std::string& directory);
/** The container has been made (Engine::create) already; its state is `created`. */
Result<nlohmann::json> prepareRestore(Engine& engine, const std::shared_ptr<Container>& container,
                                      std::optional<int64_t> startedAtMs, int64_t starts);
Result<nlohmann::json> restoreContainer(Engine& engine, const std::shared_ptr<Container>& container,
                                        const std::string& directory);
Result<nlohmann::json> releaseContainer(Engine& engine, const std::shared_ptr<Container>& container);
/** Before thaw of a `checkpointed` one and before delete: ends a criu that still waits for this container, if any. */
void forgetCheckpoint(Engine& engine, Container& container);
/** EngineHello.criu */
nlohmann::json criuInfo(const Config& config);

}  // namespace drover
