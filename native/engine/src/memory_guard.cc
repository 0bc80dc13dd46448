// See memory_guard.h. Looks happen on the container's queue, at most one at a time and a while after what caused them.
#include "memory_guard.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "engine.h"
#include "log.h"
#include "oom_log.h"
#include "pidfd.h"

namespace drover {

namespace {

/** A storm of notifications is one look. */
constexpr int64_t settleMs = 20;
/** The kernel tells of an out-of-memory before it kills, and v2 of pressure before it lasts: so a second look. */
constexpr int64_t secondLookMs = 400;
/** How far above its limit a container may come until all of it stands still, at first and at most. */
constexpr int64_t leastRoomBytes = 8 << 20;
constexpr int mostDoublings = 5;
constexpr int standstillMs = 1'000;

bool waitFrozen(const Cgroups& cgroups, const std::string& container) {
  for (int64_t end = nowMs() + standstillMs; nowMs() < end; poll(nullptr, 0, 2))
    if (cgroups.frozen(container)) return true;
  return cgroups.frozen(container);
}

/**
 * Who waits for memory waits in the kernel, where no freezer reaches it (nor CRIU). So the freezer is set first, then a little more memory is given:
 * each comes back from its page fault right into the freezer. If even that doesn't suffice they stand still all the same.
 */
Status freezeAtLimit(Engine& engine, const std::shared_ptr<Container>& container, const Record& record) {
  const Cgroups& cgroups = engine.cgroups();
  int64_t limit = record.spec.limits.memoryBytes;
  int64_t room = std::max(record.memoryRoomBytes, std::max(leastRoomBytes, limit / 16));
  // Recorded first: an engine that finds this goes on with it.
  auto frozen = [&room](Record& changed) {
    changed.state = State::frozen;
    changed.memoryRoomBytes = room;
  };
  DROVER_TRY(cgroups.requestFreeze(container->id));
  DROVER_TRY(engine.update(*container, frozen));
  DROVER_TRY(cgroups.raiseMemory(container->id, limit + room));
  for (int doubled = 0; !waitFrozen(cgroups, container->id) && doubled < mostDoublings; ++doubled) {
    room *= 2;
    DROVER_TRY(cgroups.raiseMemory(container->id, limit + room));
    DROVER_TRY(engine.update(*container, frozen));
  }
  logLine("warn", "container " + container->id + ": frozen at its limit of " + std::to_string(limit) + " bytes of memory");
  return {};
}

/** `sure`: it is no passing shortage. */
void look(Engine& engine, const std::shared_ptr<Container>& container, bool sure) {
  const Record record = container->snapshot();
  int64_t limit = record.spec.limits.memoryBytes;
  if (record.initPid == 0) return;
  MemoryReading reading = engine.cgroups().readMemory(container->id);
  MemoryState before, after;
  {
    std::lock_guard lock(container->mutex);
    before = after = container->memory;
  }
  after.nearLimit = limit > 0 && reading.workingSet >= (before.nearLimit ? leftLimit(limit) : nearLimit(limit));
  if (reading.oomKills > before.oomKills) after.killed = lastOomVictim(engine.cgroups().path(container->id));
  after.oomKills = reading.oomKills;
  if (!(after == before)) {
    {
      std::lock_guard lock(container->mutex);
      container->memory = after;
    }
    engine.announce(container);
  }
  // While it is being stopped it is not held up: the deadline of the stop decides.
  bool freezes = record.spec.limits.memoryFreeze && limit > 0 && reading.starved && record.state == State::running && !container->stopping;
  if (freezes && sure) {
    Status frozen = freezeAtLimit(engine, container, record);
    if (!frozen.ok()) logLine("error", "freeze " + container->id + " at its limit of memory: " + frozen.error().message);
  }
}

void lookAgain(Engine& engine, const std::shared_ptr<Container>& container) {
  engine.loop().after(secondLookMs, [&engine, container] { engine.enqueue(container, [&engine, container] { look(engine, container, true); }, true); });
}

void notified(Engine& engine, const std::shared_ptr<Container>& container) {
  if (container->memoryCheckDue.exchange(true)) return;
  engine.loop().after(settleMs, [&engine, container] {
    engine.enqueue(container, [&engine, container] {
      container->memoryCheckDue = false;
      look(engine, container, engine.cgroups().memoryWaits());
    }, true);
    lookAgain(engine, container);
  });
}

/** Unless its init has ended, or a later guard has taken over. */
void beginToListen(Engine& engine, const std::shared_ptr<Container>& container, int guard, const std::shared_ptr<UniqueFd>& events) {
  {
    std::lock_guard lock(container->mutex);
    if (container->deleted || container->record.initPid == 0 || container->memoryGuards != guard) return;
    container->memoryEvents = events;
  }
  Status added = engine.loop().add(events->get(), engine.cgroups().memoryEventMask(), [&engine, container, events](uint32_t) {
    // Reading is what makes it quiet again: an eventfd from its start, memory.events as well.
    char buffer[512];
    [[maybe_unused]] ssize_t count = read(events->get(), buffer, sizeof buffer);
    (void)lseek(events->get(), 0, SEEK_SET);
    notified(engine, container);
  });
  if (!added.ok()) logLine("warn", added.error().message);
  notified(engine, container);
}

}  // namespace

void guardMemory(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record record = container->snapshot();
  unguardMemory(engine, *container);
  const int guard = ++container->memoryGuards;
  if (record.initPid == 0) return;
  // Not in the loop, nor on a worker: on v1 the kernel waits for an RCU grace period, 10 ms in which nobody else would be served.
  auto watch = [&engine, container, guard, limits = record.spec.limits] {
    auto watched = engine.cgroups().watchMemory(container->id, limits);
    if (!watched.ok()) {
      if (container->memoryGuards == guard) logLine("warn", "watch the memory of " + container->id + ": " + watched.error().message);
      return;
    }
    if (!watched.value().valid()) return;
    auto events = std::make_shared<UniqueFd>(std::move(watched.value()));
    engine.loop().post([&engine, container, guard, events] { beginToListen(engine, container, guard, events); });
  };
  engine.later(watch);
}

void unguardMemory(Engine& engine, Container& container) {
  std::shared_ptr<UniqueFd> events;
  ++container.memoryGuards;
  {
    std::lock_guard lock(container.mutex);
    events = std::move(container.memoryEvents);
    container.memoryEvents.reset();
  }
  if (events) engine.loop().post([&engine, events] { engine.loop().remove(events->get()); });
}

void lookAtMemory(Engine& engine, const std::shared_ptr<Container>& container) {
  engine.loop().post([&engine, container] { notified(engine, container); });
}

}  // namespace drover
