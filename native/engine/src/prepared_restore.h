// What waits in memory between prepareRestore and restore: a criu that has been started and, where possible, asked already, and the memory
// that was sent ahead, in that criu's pages (preload/staged_pages.h). Lost with the engine; restore then makes it anew.
#pragma once

#include <optional>
#include <string>

#include "container.h"
#include "criu_client.h"
#include "engine.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

constexpr const char* restoreFailed = "RESTORE_FAILED";

struct Prepared {
  std::unique_ptr<CriuProcess> criu;
  UniqueFd userNamespace;
  /** Asked ahead, criu waits to read its images here; empty: it was not. Criu opens it by our descriptor. */
  std::string directory = {};
  UniqueFd images = {};
  /** The parts 1 to this one are in criu's pages. */
  uint32_t stagedParts = 0;
  /** Whether it may take more of them. */
  bool stages = true;
};

Result<Prepared> prepareForRestore(Engine& engine, const Spec& spec, int64_t memoryRoomBytes, bool ahead);
/** Criu looks at the kernel and gets itself ready (2–3 ms) while the container runs. What goes wrong here is tried again by `restore`. */
void askAhead(Engine& engine, const Container& container, const std::string& directory, Prepared& prepared);

void keepPrepared(const std::string& container, Prepared prepared);
std::optional<Prepared> takePrepared(const std::string& container);
/** What waits for this container, or is made now. */
Result<Prepared> readyFor(Engine& engine, const Container& container, const Record& record, const std::string& directory);

}  // namespace drover
