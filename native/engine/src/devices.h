// Puts the devices of a container in place and takes them away, as it runs: nodes in its /dev with the device cgroup opened for them,
// directories and files of the host (idmapped, so that owners fit), and further links to bridges. What is in place is in the record
// (`extra.devices`) before it is made, so that it is found again after a crash.
#pragma once

#include <memory>
#include <vector>

#include "container.h"
#include "device.h"
#include "device_plan.h"
#include "engine.h"
#include "error.h"

namespace drover {

/**
 * Makes it so that the container whose init is `pid` has these devices and no others. Repeating it changes nothing. A failure leaves
 * some of them; call it again with those of before.
 */
Status applyDevices(Engine& engine, Container& container, pid_t pid, const std::vector<Device>& devices);
/** Whether there is anything to apply or to take away at a start. */
bool hasDevices(const Record& record);
bool hasProxies(const Spec& spec);
/** For one that is to be restored: takes the addresses of the host at which it will be reached. */
Status reserveProxies(Engine& engine, const Spec& spec);
/** Removes the host's ends of its links. */
Status removeNics(Container& container);

/** Of a restore: rules of the device cgroup and links (on no bridge yet), before the tasks are there. */
Status prepareDevices(Engine& engine, const Spec& spec, int networkNamespace);
/** Puts the links on their bridges, after the commit. */
Status attachNics(const Spec& spec);

/** CRIU's names of the mounts of host directories. */
std::vector<std::string> bindMountsForDump(const Spec& spec);

/** For the time of a restore: the directories of the host with fitting owners, at paths that CRIU can open. */
class AttachedBinds {
 public:
  static Result<std::unique_ptr<AttachedBinds>> attach(const Spec& spec, int userNamespace);
  ~AttachedBinds();
  /** CRIU's `external` options. */
  const std::vector<std::string>& external() const { return external_; }

 private:
  std::vector<std::string> paths_, external_;
};

}  // namespace drover
