// The short operations on a container that has processes. See lifecycle.h.
#include "lifecycle.h"

#include <signal.h>

#include <algorithm>

#include "checkpoint.h"
#include "crash_point.h"
#include "devices.h"
#include "disk_limit.h"
#include "file_io.h"
#include "json_io.h"
#include "log.h"
#include "memory_guard.h"
#include "netlink.h"
#include "network_rate.h"
#include "pidfd.h"
#include "power_off.h"
#include "resource_limits.h"
#include "seccomp_profile.h"
#include "sysctl.h"
#include "tree_hash.h"

namespace drover {

namespace {

/** So long after its start an init may still be setting up its signal handlers. */
constexpr int64_t newMs = 2000;

Error wrongState(const char* doing, const Container& container, State state, const char* wanted) {
  return {"WRONG_STATE", std::string(doing) + " " + container.id + ": it is " + stateName(state) + ", must be " + wanted};
}

std::shared_ptr<UniqueFd> initOf(Container& container) {
  std::lock_guard lock(container.mutex);
  return container.initPidfd;
}

bool getsMore(const Limits& limits, const Limits& before) { return limits.memoryBytes == 0 || limits.memoryBytes > before.memoryBytes; }

Limits withRoom(Limits limits, int64_t room) {
  if (limits.memoryBytes > 0) limits.memoryBytes += room;
  return limits;
}

/** `from`: those in force, or perhaps in force; the record has those that stand if this fails. */
Status changeLimits(Engine& engine, const Record& record, const Limits& from, const Limits& limits) {
  DROVER_TRY(engine.cgroups().changeLimits(record.spec.container, record.spec.limits, limits));
  DROVER_TRY_ASSIGN(network, openNetworkNamespace(record.initPid));
  DROVER_TRY(engine.bridges().change(network.get(), record.spec.identity, from, limits));
  return changeNetworkLimit(network.get(), record.spec.identity, from, limits);
}

}  // namespace

namespace {

Status changeOnHost(Engine& engine, const std::shared_ptr<Container>& container, const Record& before, const Limits& limits, const std::vector<Device>& wanted) {
  const bool live = before.initPid > 0;
  const bool disk = before.spec.limits.diskBytes != limits.diskBytes;
  if (live) DROVER_TRY(engine.cgroups().canHold(before.spec.limits, limits));
  // A limit that this host can't hold stands in the way of no other change.
  if (disk) DROVER_TRY(changeDiskLimit(*container, before.spec, limits.diskBytes, live));
  Status changed;
  if (!live) {
    if (auto plan = planDevices(wanted); !plan.ok()) changed = plan.error();
  } else {
    // What it was given beyond its limit to come to a stand is in use: it keeps that until it gets more.
    bool more = before.memoryRoomBytes > 0 && getsMore(limits, before.spec.limits);
    if (before.spec.limits != limits) changed = changeLimits(engine, before, before.spec.limits, more ? limits : withRoom(limits, before.memoryRoomBytes));
    if (changed.ok() && before.spec.devices != wanted) changed = applyDevices(engine, *container, before.initPid, wanted);
  }
  if (changed.ok()) return {};
  Status back = live ? changeLimits(engine, before, limits, withRoom(before.spec.limits, before.memoryRoomBytes)) : Status();
  if (!back.ok()) logLine("error", back.error().message);
  back = disk ? changeDiskLimit(*container, before.spec, before.spec.limits.diskBytes, live) : Status();
  if (!back.ok()) logLine("error", back.error().message);
  if (live && before.spec.devices != wanted) back = applyDevices(engine, *container, before.initPid, before.spec.devices);
  if (!back.ok()) logLine("error", back.error().message);
  return changed;
}

}  // namespace

Status updateContainer(Engine& engine, const std::shared_ptr<Container>& container, const Limits& limits, const std::optional<std::vector<Device>>& devices) {
  const Record before = container->snapshot();
  const std::vector<Device>& wanted = devices.value_or(before.spec.devices);
  if (before.spec.limits == limits && before.spec.devices == wanted) return {};
  // A dump or restore under way is about the cgroups as they are.
  if (before.state == State::checkpointed || before.state == State::restored)
    return wrongState("update", *container, before.state, "created, running, frozen or stopped");
  bool atLimit = before.memoryRoomBytes > 0;
  bool more = atLimit && getsMore(limits, before.spec.limits);
  if (Status changed = changeOnHost(engine, container, before, limits, wanted); !changed.ok())
    return Error{changed.error().code, "update " + container->id + ": " + changed.error().message};
  DROVER_TRY(engine.update(*container, [&](Record& record) {
    record.spec.limits = limits;
    record.spec.devices = wanted;
  }));
  if (before.initPid > 0) engine.loop().post([&engine, container] { guardMemory(engine, container); });
  // Or when the kernel is allowed to kill.
  return more || (atLimit && !limits.memoryFreeze) ? thawContainer(engine, container) : Status();
}

Status changeSecurity(Engine& engine, Container& container, const Security& security) {
  const Record before = container.snapshot();
  if (before.spec.security == security) return {};
  if (before.initPid > 0) return wrongState("change the security of", container, before.state, "stopped: it is in force from the next start on");
  if (before.spec.security.privileged != security.privileged)
    return badRequest("field `privileged`: " + container.id + " was made " + (security.privileged ? "unprivileged" : "privileged") + ", which its files are owned for");
  DROVER_TRY(checkSyscalls(security));
  return engine.update(container, [&](Record& record) { record.spec.security = security; });
}

Status changeKernelSettings(Engine& engine, Container& container, const std::optional<Sysctls>& sysctls, const std::optional<ResourceLimits>& rlimits) {
  const Record before = container.snapshot();
  const Sysctls variables = sysctls.value_or(before.spec.sysctls);
  const ResourceLimits limits = rlimits.value_or(before.spec.rlimits);
  if (before.spec.sysctls == variables && before.spec.rlimits == limits) return {};
  if (before.state == State::checkpointed || before.state == State::restored)
    return wrongState("change kernel settings of", container, before.state, "created, running, frozen or stopped");
  if (before.initPid > 0) {
    Status changed = before.spec.rlimits == limits ? Status() : changeResourceLimits(before.initPid, engine.cgroups().processes(container.id), limits);
    if (changed.ok() && before.spec.sysctls != variables) changed = setSysctls(before.initPid, variables);
    if (!changed.ok()) return Error{changed.error().code, "update " + container.id + ": " + changed.error().message};
  }
  return engine.update(container, [&](Record& record) {
    record.spec.sysctls = variables;
    record.spec.rlimits = limits;
  });
}

Status freezeContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  if (before.state == State::frozen) return {};
  if (before.state != State::running) return wrongState("freeze", *container, before.state, "running");
  DROVER_TRY(engine.cgroups().freeze(container->id));
  return engine.update(*container, [](Record& record) { record.state = State::frozen; });
}

Status thawContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  if (before.state == State::running) return {};
  if (before.state != State::frozen && before.state != State::checkpointed) return wrongState("thaw", *container, before.state, "frozen or checkpointed");
  DROVER_TRY(engine.lease().check("thaw", before));
  // The lease is new, and its container not yet back on its bridge.
  if (before.fenced) return unfenceContainer(engine, container);
  if (before.state == State::checkpointed) {
    engine.cgroups().holdRunLimits(container->id, before.spec.limits);
    forgetCheckpoint(engine, *container);
    forgetTree(container->id);
    if (hasProxies(before.spec)) engine.refreshDevices(container);
    DROVER_TRY(engine.bridges().attach(before.spec));
    // It stood still before the dump, and does so again.
    if (before.extra.value("frozenBefore", false)) return engine.update(*container, [](Record& record) { record.state = State::frozen; });
  }
  if (before.state == State::checkpointed) crashPoint("thaw:attached");
  DROVER_TRY(engine.cgroups().thaw(container->id));
  if (before.state == State::checkpointed) crashPoint("thaw:thawed");
  DROVER_TRY(engine.update(*container, [](Record& record) {
    record.state = State::running;
    record.memoryRoomBytes = 0;
  }));
  if (before.state != State::checkpointed) return {};
  // The bridge has forgotten where it is.
  auto network = openNetworkNamespace(before.initPid);
  auto announced = network.ok() ? announce(network.value().get(), before.spec.identity) : std::move(network);
  if (announced.ok()) engine.closeLater(std::move(announced.value()));
  else logLine("warn", announced.error().message);
  return {};
}

Status askToPowerOff(Engine& engine, const std::shared_ptr<Container>& container, int signal) {
  const Record before = container->snapshot();
  if (before.initPid == 0) return {};
  if (before.state == State::checkpointed || before.state == State::restored) return wrongState("stop", *container, before.state, "running or frozen");
  // What can't be thawed can't power off; it would do so later, when nobody expects it.
  if (before.state == State::frozen) DROVER_TRY(engine.lease().check("stop", before));
  container->stopping = true;
  int64_t age = before.startedAtMs ? nowMs() - *before.startedAtMs : newMs;
  int patienceMs = before.state == State::running ? static_cast<int>(std::clamp<int64_t>(newMs - age, 0, newMs)) : 0;
  if (auto init = initOf(*container)) DROVER_TRY(askInitToPowerOff(before.initPid, init->get(), signal, patienceMs));
  crashPoint("stop:asked");
  return before.state == State::frozen ? thawContainer(engine, container) : Status();
}

Status signalContainer(Engine& engine, const std::shared_ptr<Container>& container, int signal) {
  const Record before = container->snapshot();
  if (signal == SIGKILL) {
    if (before.initPid == 0) return {};
    container->stopping = true;
    return engine.cgroups().killAll(container->id);
  }
  if (before.state != State::running && before.state != State::frozen) return wrongState("kill", *container, before.state, "running or frozen");
  auto init = initOf(*container);
  return init ? signalPidfd(init->get(), signal) : Status();
}

}  // namespace drover
