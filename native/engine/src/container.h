// One container as the engine knows it: the record that is on disk, and what only lives in memory. Operations on one
// container run one after the other (Engine::enqueue); `mutex` only guards the fields for those who look meanwhile.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "spec.h"
#include "unique_fd.h"

namespace drover {

enum class State { created, running, frozen, checkpointed, restored, stopped };
const char* stateName(State state);
std::optional<State> parseState(const std::string& name);

/** reason: poweroff, reboot, exit, killed, or host (it went down with its host); status: exit code or signal. */
struct InitExit {
  std::string reason;
  int status = 0;
};

/** All that survives the engine. */
struct Record {
  Spec spec;
  State state = State::created;
  /** 0: none. Valid only together with initStartTime and bootId, which guard against reused pids. */
  pid_t initPid = 0;
  uint64_t initStartTime = 0;
  std::string bootId;
  std::optional<int64_t> startedAtMs;
  int64_t starts = 0;
  std::optional<InitExit> exit;
  /** Over 0: frozen at its limit of memory, and given so much more, so that all of it could come to a stand. */
  int64_t memoryRoomBytes = 0;
  /** Frozen and off the network because the lease was over; see lease.h. */
  bool fenced = false;
  /** For the checkpoint code's own notes. */
  nlohmann::json extra = nlohmann::json::object();
};

/** What has been seen of its memory since init started; see memory_guard.h. */
struct MemoryState {
  bool nearLimit = false;
  int64_t oomKills = 0;
  /** Name of the process that was killed last; empty: unknown. */
  std::string killed;

  bool operator==(const MemoryState&) const = default;
};

class Container {
 public:
  Container(const std::string& stateDirectory, Record initial)
      : id(initial.spec.container), directory(stateDirectory + "/" + id), record(std::move(initial)) {}

  const std::string id;
  /** Holds record.json, upper, work, rootfs. */
  const std::string directory;
  std::string upper() const { return directory + "/upper"; }
  std::string work() const { return directory + "/work"; }
  /** An empty directory: where the root file system is attached (in the container's mount namespace, or for CRIU). */
  std::string rootfs() const { return directory + "/rootfs"; }
  /** An empty directory: where the idmapped image is attached for a moment on kernels that need it. */
  std::string lower() const { return directory + "/lower"; }
  /** Beside all containers: see makeBottomLayer. */
  std::string bottom() const { return directory.substr(0, directory.rfind('/')) + "/.bottom"; }

  /** A copy, for reading. Change it with Engine::update only. */
  Record snapshot() const {
    std::lock_guard lock(mutex);
    return record;
  }

  mutable std::mutex mutex;
  Record record;
  /** pidfd of init while it has one; shared with the loop that watches it. */
  std::shared_ptr<UniqueFd> initPidfd;
  /** What tells of its memory, watched by the loop; guarded by `mutex` like all these. */
  std::shared_ptr<UniqueFd> memoryEvents;
  MemoryState memory;
  /** How often its memory began or ceased to be watched: a beginning that was overtaken is dropped. */
  std::atomic<int> memoryGuards = 0;
  /** A look at its memory is due already. */
  std::atomic<bool> memoryCheckDue = false;
  bool deleted = false;

  /** The queue of operations, guarded by `mutex`; see Engine::enqueue. */
  std::deque<std::function<void()>> pending;
  bool busy = false;
  /** A stop is under way: a reboot then counts as the end. */
  std::atomic<bool> stopping = false;
  /** Starts by reboot in short order, to stop a container that only reboots. */
  int quickReboots = 0;
};

}  // namespace drover
