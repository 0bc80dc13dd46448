// The right to let containers run that may be started elsewhere when this host is lost. The agent renews it each time that the leader has
// answered; when it is over, those containers are frozen and taken off the network, by a timer of the kernel, whether an agent lives or
// not. From then on nothing lets them run before the lease is renewed with them in it. Times are milliseconds of CLOCK_BOOTTIME, which goes
// on while the machine sleeps. What is known is kept in a file, so that the next engine goes on with it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "container.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

class Engine;

class Lease {
 public:
  explicit Lease(Engine& engine);
  /** What an earlier engine knew; one of an earlier boot is over. Before containers are adopted. */
  void load();
  /** Starts the timer. After containers were adopted, before the loop runs. */
  Status begin();
  /** `containers`: epoch by id. A lease never ends sooner than was said before. Loop's thread. */
  Status renew(int64_t untilMs, std::map<std::string, int64_t> containers);
  /** Whether it may run now: it needs no lease, or this one holds for it. */
  bool holds(const Record& record) const;
  /** It needs the lease, and this one has ever named it. */
  bool names(const Record& record) const;
  /** Refuses with WRONG_STATE what would let it run without. */
  Status check(const char* doing, const Record& record) const;

 private:
  void arm();
  void ended();
  void save() const;

  Engine& engine_;
  mutable std::mutex mutex_;
  int64_t untilMs_ = 0;
  std::map<std::string, int64_t> containers_;
  UniqueFd timer_;
};

/** Freezes it and takes it off the network until the lease is back. Operation queue only. */
Status fenceContainer(Engine& engine, const std::shared_ptr<Container>& container);
/** The way back. Operation queue only. */
Status unfenceContainer(Engine& engine, const std::shared_ptr<Container>& container);

}  // namespace drover
