// Where a container's processes are in each hierarchy, and how they come into cgroups of its own later. See cgroup.h.
#include <signal.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_limits.h"
#include "file_io.h"
#include "log.h"
#include "pidfd.h"

namespace drover {

namespace {

/** Below the parent; no container's id has a dot. preload/own_cgroup.c knows it, too. */
constexpr const char* sharedName = "/.shared";
constexpr int gatherDeadlineMs = 5'000;

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/** The freezer where cgroup2's is used, what a manager on the host counts its own services by, and devices that a program guards. */
bool asksNothing(const std::string& controller, bool devicesByProgram) {
  return controller == "freezer" || controller == "systemd" || (controller == "devices" && devicesByProgram);
}

}  // namespace

Cgroups::Owners Cgroups::owners(const Hierarchy& hierarchy) const {
  if (hierarchy.unified || unified_ == none) return Owners::everybody;
  Owners found = Owners::nobody;
  for (const auto& controller : hierarchy.controllers) {
    if (controller == "cpuset") found = Owners::whoAsks;
    else if (!asksNothing(controller, devicesByProgram_)) return Owners::everybody;
  }
  return found;
}

std::string Cgroups::sharedDirectory(const Hierarchy& hierarchy) const {
  return hierarchy.mountPoint + parent_ + (owners(hierarchy) == Owners::whoAsks ? "" : sharedName);
}

std::string Cgroups::directory(const Hierarchy& hierarchy, const std::string& container) const { return hierarchy.mountPoint + path(container); }

std::string Cgroups::place(const Hierarchy& hierarchy, const std::string& container) const {
  std::string own = directory(hierarchy, container);
  // Where nobody needs one, who came from an earlier engine may have it.
  return owners(hierarchy) == Owners::everybody || exists(own) ? own : sharedDirectory(hierarchy);
}

Status Cgroups::makeOwn(const Hierarchy& hierarchy, const std::string& container, const Limits& from, const Limits& to) const {
  const std::string own = directory(hierarchy, container);
  const std::string parent = hierarchy.mountPoint + parent_;
  DROVER_TRY_ASSIGN(made, makeCgroup(hierarchy, parent, own));
  Status limited = applyLimits(hierarchy, parent, own, from, to, ioDevice_, !made);
  // As before: nobody is in there.
  if (!limited.ok() && made) (void)rmdir(own.c_str());
  return limited;
}

Status Cgroups::canHold(const Limits& from, const Limits& to) const {
  std::set<std::string> controllers;
  for (const auto& hierarchy : hierarchies_) controllers.insert(hierarchy.controllers.begin(), hierarchy.controllers.end());
  return refuseUnknownLimits(controllers, from, to);
}

Status Cgroups::changeLimits(const std::string& container, const Limits& from, const Limits& to) const {
  for (const auto& hierarchy : hierarchies_) {
    const Owners here = owners(hierarchy);
    if (here == Owners::nobody || (here == Owners::whoAsks && !needsCpuset(to) && !exists(directory(hierarchy, container)))) continue;
    DROVER_TRY(makeOwn(hierarchy, container, from, to));
  }
  return gather(container);
}

void Cgroups::liftRunLimits(const std::string& container) const { setRunLimits(container, noRunLimits()); }

void Cgroups::holdRunLimits(const std::string& container, const Limits& limits) const { setRunLimits(container, limits); }

void Cgroups::setRunLimits(const std::string& container, const Limits& limits) const {
  for (const auto& hierarchy : hierarchies_) {
    const bool concerned = hierarchy.controllers.contains("cpu") || hierarchy.controllers.contains("pids");
    const std::string own = directory(hierarchy, container);
    if (!concerned || !exists(own)) continue;
    // A move that is slower, or a container with more than it should have, is better than none.
    if (Status set = applyRunLimits(hierarchy, own, limits); !set.ok()) logLine("error", "limits of " + container + ": " + set.error().message);
  }
}

Status Cgroups::gather(const std::string& container) const {
  const int64_t end = nowMs() + gatherDeadlineMs;
  for (const auto& hierarchy : hierarchies_) {
    const std::string own = owners(hierarchy) == Owners::whoAsks ? directory(hierarchy, container) : "";
    if (own.empty() || !exists(own)) continue;
    std::set<pid_t> inside = processesIn(own);
    // Whose parent is in there is in there itself, so that a round finds fewer than the one before.
    for (bool all = false; !all;) {
      all = true;
      for (pid_t pid : processes(container)) {
        if (!inside.insert(pid).second) continue;
        all = false;
        if (Status moved = writeKernelFile(own + "/cgroup.procs", std::to_string(pid)); !moved.ok() && kill(pid, 0) == 0) return moved;
      }
      if (!all && nowMs() > end) return Error{"TIMED_OUT", "move the processes of " + container + " into " + own + ": new ones come all the time"};
    }
  }
  return {};
}

}  // namespace drover
