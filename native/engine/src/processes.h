// What a container uses, seen from the host's side (methods processes and usage of messages.ts): its processes from the host's
// /proc, its cgroup's figures, its file systems. Nothing inside is run or trusted: a container that is frozen, full or
// hostile is shown as well.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"
#include "error.h"

namespace drover {

/** {processes: […], more}: at most 2,000 of them. */
Result<nlohmann::json> listProcesses(const Engine& engine, const Container& container);
/** {memoryBytes, cpuUsec, processes, readBytes, writtenBytes, atMs, fileSystems}; the latter only when asked for. */
Result<nlohmann::json> describeUsage(const Engine& engine, const Container& container, bool fileSystems);

}  // namespace drover
