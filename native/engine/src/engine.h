// The supervisor: the table of containers, the order of operations on each, and what happens when an init ends.
// Methods (methods.cc) and the checkpoint code work through it; it knows nothing of sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cgroup.h"
#include "container.h"
#include "error.h"
#include "event_loop.h"
#include "init_spawner.h"
#include "inner_bridges.h"
#include "lease.h"
#include "own_cache.h"
#include "own_view.h"
#include "proxies.h"
#include "record_settler.h"
#include "seccomp_profile.h"
#include "spec.h"
#include "worker_pool.h"

namespace drover {

class Engine {
 public:
  /** Starts and restores mostly wait for the kernel (mounts, network, CRIU). */
  static constexpr size_t workers = 4;

  Engine(Config config, Cgroups cgroups, OwnCache& ownCache, SeccompProgram seccomp, InitSpawner& spawner, EventLoop& loop);

  const Config& config() const { return config_; }
  const Cgroups& cgroups() const { return cgroups_; }
  const SeccompProgram& seccomp() const { return seccomp_; }
  InitSpawner& spawner() { return spawner_; }
  EventLoop& loop() { return loop_; }
  /** What shows containers their own numbers. */
  OwnView& view() { return view_; }
  /** Until when those may run that may be started elsewhere. */
  Lease& lease() { return lease_; }

  /** The containers' links on the host's bridge. */
  InnerBridges& bridges() { return bridges_; }

  /** Addresses of the host that lead into containers. */
  Proxies& proxies() { return proxies_; }

  /** Takes over what an earlier engine left: running containers are adopted, half-made things removed. Before the loop runs. */
  Status adopt();

  std::shared_ptr<Container> find(const std::string& id) const;
  std::vector<std::shared_ptr<Container>> all() const;
  /**
   * Makes directories and record (state created), or returns the one there is: same epoch kept, higher epoch taken over,
   * lower refused with STALE_EPOCH.
   */
  Result<std::shared_ptr<Container>> create(const Spec& spec);
  /** Refuses an epoch below the recorded one with STALE_EPOCH; records a higher one. */
  Status checkEpoch(Container& container, int64_t epoch);

  /** Runs the job on a worker after all earlier ones of the container; false when its queue is full. */
  bool enqueue(const std::shared_ptr<Container>& container, std::function<void()> job, bool always = false);
  /** Runs a job of no container. */
  bool submit(std::function<void()> job) { return pool_.submit(std::move(job)); }

  /** Runs a job that waits for the kernel's grace periods and that nobody waits for. */
  void later(std::function<void()> job) { patient_.submit(std::move(job), true); }

  /** For a detached mount that has served. */
  void closeLater(UniqueFd descriptor) {
    later([held = std::make_shared<UniqueFd>(std::move(descriptor))] { held->reset(); });
  }

  /** Changes the record, writes it to disk and tells the subscribers. The only way to change a record. */
  Status update(Container& container, const std::function<void(Record&)>& change);
  /** The same, and waits until a power cut can't undo it. */
  Status updateDurably(Container& container, const std::function<void(Record&)>& change);
  /** Tells the subscribers. */
  void announce(const std::shared_ptr<Container>& container);
  /** Tells who waits for the images of its dump. */
  void tellImagesComplete(const std::string& container, bool diskStands);
  /** After a start or restore: opens a pidfd of init, puts pid and start time into the record (with `change`) and watches it. */
  Status watchInit(const std::shared_ptr<Container>& container, pid_t pid, const std::function<void(Record&)>& change);
  /** Stops watching, e.g. because the caller kills and reaps init itself. Returns the pidfd, null when there was none. */
  std::shared_ptr<UniqueFd> unwatchInit(Container& container);

  /** Kills every process, reaps init, removes the veth and the cgroups; keeps record and disk. Operation queue only. */
  Status killProcesses(Container& container);
  /** Removes every trace. Operation queue only. */
  Status removeContainer(const std::shared_ptr<Container>& container, const std::string& keep = "");
  /** Ends the exec sessions of a container: their pipes and terminals can't be dumped. Returns when they are gone. */
  void endExecSessions(Container& container);

  /** EngineContainer of messages.ts, with figures of the cgroups. */
  nlohmann::json describe(const Container& container);

  /** Starts lxcfs, or takes over that of an earlier engine, and sees to it that every running container looks through it. On a worker. */
  void beginView();
  /** The same for one container, after all that is queued for it. */
  void refreshView(const std::shared_ptr<Container>& container);
  /** Brings its devices to what its spec and this host say, after all that is queued for it. */
  void refreshDevices(const std::shared_ptr<Container>& container);
  /** A container was started, or restored: what that has left in the kernel's caches goes, now and then. */
  void ranOneMore();
  /** Something was plugged in or out: looks at the containers that have to do with such. */
  void devicesChanged();

  /** Called on the loop's thread after each change of a record. */
  std::function<void(const std::shared_ptr<Container>&)> onChange;
  /** Called on the loop's thread when a dump has written its images, before it is over; `diskStands`: nothing changes in the writable layer any more. */
  std::function<void(const std::string& container, bool diskStands)> onImagesComplete;
  /** Loop's thread; calls `done` when no session of the container is left. Set by the exec code. */
  std::function<void(const std::string& container, std::function<void()> done)> onEndExecSessions;

 private:
  void runNext(const std::shared_ptr<Container>& container, const std::function<void()>& job);
  void initEnded(const std::shared_ptr<Container>& container, const std::shared_ptr<UniqueFd>& pidfd, std::optional<int> seen);
  void watch(const std::shared_ptr<Container>& container, const std::shared_ptr<UniqueFd>& pidfd);
  Status adoptOne(const std::shared_ptr<Container>& container);
  Status adoptRunning(const std::shared_ptr<Container>& container, const Record& record, UniqueFd pidfd);

  const Config config_;
  const Cgroups cgroups_;
  const SeccompProgram seccomp_;
  InitSpawner& spawner_;
  EventLoop& loop_;
  OwnCache& ownCache_;
  OwnView view_;
  Lease lease_;
  InnerBridges bridges_;
  Proxies proxies_;
  RecordSettler settler_;
  mutable std::mutex mutex_;
  std::mutex createMutex_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  WorkerPool patient_;
  /** Last: its threads end first. */
  WorkerPool pool_;
};

}  // namespace drover
