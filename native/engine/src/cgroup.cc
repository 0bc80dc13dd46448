// A container's cgroups: limits, joining, freezing, killing, removing, accounting. See cgroup.h.
#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <sstream>
#include <tuple>

#include "cgroup_limits.h"
#include "device_filter.h"
#include "file_io.h"
#include "log.h"
#include "pidfd.h"
#include "process_text.h"
#include "unique_fd.h"

namespace drover {

namespace {

constexpr int freezeDeadlineMs = 10'000;
/** Killed processes leave their cgroup when the kernel gets to it. */
constexpr int removeDeadlineMs = 10'000;

/** Of cgroups that a container makes, one in the other: systemd takes six, and each system container inside as many. */
constexpr const char* mostLevels = "64";

/** What a container may use of devices (v1; its own user namespace can't make nodes anyway). */
constexpr const char* allowedDevices[] = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};

/** For containers inside: fuse and tun. */
constexpr const char* nestingDevices[] = {"c 10:229 rwm", "c 10:200 rwm"};

UniqueFd openCgroup(int parent, const std::string& name) { return UniqueFd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)); }

std::vector<std::string> childCgroups(const UniqueFd& cgroup) {
  std::vector<std::string> children;
  UniqueFd own(fcntl(cgroup.get(), F_DUPFD_CLOEXEC, 0));
  DIR* stream = own.valid() ? fdopendir(own.get()) : nullptr;
  if (!stream) return children;
  own.release();
  while (dirent* entry = readdir(stream))
    if (entry->d_type == DT_DIR && std::string(entry->d_name) != "." && std::string(entry->d_name) != "..") children.emplace_back(entry->d_name);
  closedir(stream);
  return children;
}

/** From one descriptor to the next: what a container makes may have paths longer than the kernel takes. */
void collectProcesses(int parent, const std::string& name, std::set<pid_t>& pids) {
  const UniqueFd cgroup = openCgroup(parent, name);
  auto content = cgroup.valid() ? readFileAt(cgroup.get(), "cgroup.procs", 16 << 20) : Result<std::string>(std::string());
  if (!content.ok()) return;
  std::istringstream lines(content.value());
  for (pid_t pid; lines >> pid;) pids.insert(pid);
  for (const auto& child : childCgroups(cgroup)) collectProcesses(cgroup.get(), child, pids);
}

/** Deepest first. EBUSY: something still dies in there. */
int removeCgroup(int parent, const std::string& name) {
  auto removed = [&] { return unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno; };
  if (int result = removed(); result != EBUSY) return result;
  const UniqueFd cgroup = openCgroup(parent, name);
  if (!cgroup.valid()) return errno == ENOENT ? 0 : errno;
  for (const auto& child : childCgroups(cgroup))
    if (int result = removeCgroup(cgroup.get(), child); result != 0) return result;
  return removed();
}

/** Of a cgroup's file, which the kernel gives in one piece: three are read of each container each second. */
int64_t readNumber(const std::string& path) {
  char text[64] = {};
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.valid() && read(fd.get(), text, sizeof text - 1) > 0 ? strtoll(text, nullptr, 10) : 0;
}

int64_t readKey(const std::string& path, const std::string& key) {
  auto content = readFile(path, 8192);
  return content.ok() ? numberOfKey(content.value(), key) : 0;
}

std::set<std::string> usualDevices(const Security& security) {
  std::set<std::string> rules(std::begin(allowedDevices), std::end(allowedDevices));
  if (security.nesting) rules.insert(std::begin(nestingDevices), std::end(nestingDevices));
  return rules;
}

/** Of a new cgroup, which has the list of its parent. */
Status limitDevices(const std::string& directory, const std::set<std::string>& rules) {
  DROVER_TRY(writeKernelFile(directory + "/devices.deny", "a"));
  UniqueFd allow(open((directory + "/devices.allow").c_str(), O_WRONLY | O_CLOEXEC));
  if (!allow.valid()) return errnoError("open " + directory + "/devices.allow");
  // One rule a write.
  for (const auto& rule : rules)
    if (write(allow.get(), rule.data(), rule.size()) < 0) return errnoError("write `" + rule + "` to " + directory + "/devices.allow");
  return {};
}

/** The container's root may make cgroups of its own below: what systemd needs. Its limits stay the engine's. */
Status delegate(const std::string& directory, uid_t owner) {
  for (const char* file : {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"})
    if (chown((directory + file).c_str(), owner, owner) != 0 && errno != ENOENT) return errnoError("delegate " + directory + file);
  return writeKernelFile(directory + "/cgroup.max.depth", mostLevels);
}

}  // namespace

std::set<pid_t> processesIn(const std::string& directory) {
  std::set<pid_t> pids;
  collectProcesses(AT_FDCWD, directory, pids);
  return pids;
}

const Hierarchy* Cgroups::withController(const std::string& controller) const {
  for (const auto& hierarchy : hierarchies_)
    if (hierarchy.controllers.contains(controller)) return &hierarchy;
  return nullptr;
}

Status Cgroups::create(const Spec& spec) const {
  const auto& [container, limits] = std::tie(spec.container, spec.limits);
  for (const auto& hierarchy : hierarchies_) {
    const Owners here = owners(hierarchy);
    if (here == Owners::nobody || (here == Owners::whoAsks && !needsCpuset(limits))) continue;
    DROVER_TRY(makeOwn(hierarchy, container, limits, limits));
    const std::string made = directory(hierarchy, container);
    if (hierarchy.unified) {
      DROVER_TRY(delegate(made, spec.owner()));
      if (devicesByProgram()) DROVER_TRY(setDevices(spec, usualDevices(spec.security)));
    } else if (hierarchy.controllers.contains("devices") && !devicesByProgram()) {
      DROVER_TRY(limitDevices(made, usualDevices(spec.security)));
    }
  }
  return {};
}

/** `DROVER_DEVICE_LIST=controller` has tests use v1's where a program could do it, too. */
bool Cgroups::canFilterDevices() const {
  if (unified_ == none) return false;
  if (!withController("devices")) return true;
  const char* asked = getenv("DROVER_DEVICE_LIST");
  if (asked && std::string_view(asked) == "controller") return false;
  return mayFilterDevices({std::begin(allowedDevices), std::end(allowedDevices)});
}

bool Cgroups::mayHaveWrittenSysctls(const std::string& container) const {
  return !sysctls_ || sysctls_->mayHaveWritten(directory(hierarchies_[unified_], container));
}

void Cgroups::noteWrittenSysctls(const std::string& container) const {
  if (sysctls_) sysctls_->note(directory(hierarchies_[unified_], container));
}

Status Cgroups::setDevices(const Spec& spec, const std::set<std::string>& rules) const {
  Status set = filterDevices(directory(hierarchies_[unified_], spec.container), {rules.begin(), rules.end()});
  if (set.ok() || spec.security.privileged || errno != EPERM) return set;
  // Who has a user namespace of its own can make no nodes: it has those that the engine made, and no others.
  static std::once_flag told;
  std::call_once(told, [&] { logLine("warn", "containers have no list of devices: this host does not let us " + set.error().message); });
  return {};
}

Status Cgroups::allowDevices(const Spec& spec, const std::vector<std::string>& rules) const {
  std::set<std::string> wanted = usualDevices(spec.security);
  wanted.insert(rules.begin(), rules.end());
  const auto* devices = withController("devices");
  if (devicesByProgram()) {
    DROVER_TRY(setDevices(spec, wanted));
    // An earlier engine's list, with which only what both have is allowed.
    if (!devices || access(directory(*devices, spec.container).c_str(), F_OK) != 0) return {};
    return writeKernelFile(directory(*devices, spec.container) + "/devices.allow", "a");
  }
  if (!devices) return {};
  std::string where = directory(*devices, spec.container);
  auto list = readFile(where + "/devices.list");
  if (!list.ok()) return list.error();
  // One that was there before with other rights is denied first: allowing only adds.
  std::istringstream lines(list.value());
  for (std::string line; std::getline(lines, line);)
    if (!wanted.contains(line)) DROVER_TRY(writeKernelFile(where + "/devices.deny", line));
  for (const auto& rule : wanted) DROVER_TRY(writeKernelFile(where + "/devices.allow", rule));
  return {};
}

Result<std::vector<UniqueFd>> Cgroups::openTasks(const std::string& container) const {
  std::vector<UniqueFd> files, memory;
  for (const auto& hierarchy : hierarchies_) {
    if (hierarchy.unified) continue;
    const std::string file = place(hierarchy, container) + "/tasks";
    UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return errnoError("open " + file);
    (hierarchy.controllers.contains("memory") ? memory : files).push_back(std::move(fd));
  }
  std::ranges::move(memory, std::back_inserter(files));
  return files;
}

UniqueFd Cgroups::openUnified(const std::string& container, pid_t initPid) const {
  if (unified_ == none) return UniqueFd();
  const auto& hierarchy = hierarchies_[unified_];
  std::string own = path(container);
  if (initPid > 0) {
    auto content = readFile("/proc/" + std::to_string(initPid) + "/cgroup", 1 << 16);
    auto where = content.ok() ? cgroupIn(content.value(), "") : std::nullopt;
    if (where && where->starts_with(own + "/") && where->find("/../") == std::string::npos) {
      UniqueFd inner(open((hierarchy.mountPoint + *where).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (inner.valid()) return inner;
    }
  }
  return UniqueFd(open((hierarchy.mountPoint + own).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

std::string Cgroups::freezerDirectory(const std::string& container) const {
  return directory(unified_ != none ? hierarchies_[unified_] : *withController("freezer"), container);
}

Status Cgroups::freeze(const std::string& container) const {
  std::string where = freezerDirectory(container);
  int64_t end = nowMs() + freezeDeadlineMs;
  if (unified_ == none) {
    // v1 answers FREEZING until all tasks stand still; writing FROZEN again takes in those that were forked meanwhile.
    for (;;) {
      DROVER_TRY(writeKernelFile(where + "/freezer.state", "FROZEN"));
      if (frozen(container)) return {};
      if (nowMs() > end) break;
      poll(nullptr, 0, 1);
    }
  } else {
    UniqueFd events(open((where + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    if (!events.valid()) return errnoError("open " + where + "/cgroup.events");
    DROVER_TRY(writeKernelFile(where + "/cgroup.freeze", "1"));
    for (;;) {
      char buffer[256];
      ssize_t count = pread(events.get(), buffer, sizeof buffer - 1, 0);
      if (count < 0) return errnoError("read " + where + "/cgroup.events");
      buffer[count] = 0;
      if (strstr(buffer, "frozen 1")) return {};
      int64_t left = end - nowMs();
      if (left <= 0) break;
      pollfd entry = {events.get(), POLLPRI, 0};
      poll(&entry, 1, static_cast<int>(left));
    }
  }
  Status ignored = thaw(container);
  return Error{"TIMED_OUT", "freeze " + container + ": not all processes stood still in " + std::to_string(freezeDeadlineMs) + " ms"};
}

Status Cgroups::requestFreeze(const std::string& container) const {
  std::string where = freezerDirectory(container);
  return unified_ == none ? writeKernelFile(where + "/freezer.state", "FROZEN") : writeKernelFile(where + "/cgroup.freeze", "1");
}

Status Cgroups::thaw(const std::string& container) const {
  std::string where = freezerDirectory(container);
  return unified_ == none ? writeKernelFile(where + "/freezer.state", "THAWED") : writeKernelFile(where + "/cgroup.freeze", "0");
}

bool Cgroups::frozen(const std::string& container) const {
  std::string where = freezerDirectory(container);
  if (unified_ != none) return readKey(where + "/cgroup.events", "frozen") == 1;
  auto content = readFile(where + "/freezer.state", 64);
  return content.ok() && content.value().starts_with("FROZEN");
}

bool Cgroups::staysFrozen(const std::string& container) const {
  auto wanted = readFile(freezerDirectory(container) + (unified_ == none ? "/freezer.self_freezing" : "/cgroup.freeze"), 16);
  return wanted.ok() && wanted.value().starts_with("1") && freeze(container).ok();
}

Status Cgroups::killAll(const std::string& container) const {
  if (unified_ != none) {
    std::string where = directory(hierarchies_[unified_], container);
    if (access(where.c_str(), F_OK) != 0) return {};
    if (access((where + "/cgroup.kill").c_str(), F_OK) == 0) return writeKernelFile(where + "/cgroup.kill", "1");
  }
  // Without cgroup.kill: until nobody is left who could have forked; a v1-frozen task takes its SIGKILL when thawed.
  int64_t end = nowMs() + removeDeadlineMs;
  for (auto left = processes(container); !left.empty() && nowMs() < end; left = processes(container)) {
    for (pid_t pid : left) kill(pid, SIGKILL);
    if (Status thawed = thaw(container); !thawed.ok()) return thawed;
    poll(nullptr, 0, 1);
  }
  return {};
}

std::vector<pid_t> Cgroups::processes(const std::string& container) const {
  // Every process is in every hierarchy; the one with the freezer is the one that the container can't leave.
  std::set<pid_t> pids = processesIn(freezerDirectory(container));
  pids.erase(0);
  return {pids.begin(), pids.end()};
}

Status Cgroups::remove(const std::string& container) const {
  int64_t end = nowMs() + removeDeadlineMs;
  if (sysctls_) sysctls_->forget(directory(hierarchies_[unified_], container));
  for (const auto& hierarchy : hierarchies_) {
    const std::string where = directory(hierarchy, container);
    for (int result = removeCgroup(AT_FDCWD, where); result != 0; result = removeCgroup(AT_FDCWD, where)) {
      if (result != EBUSY || nowMs() > end) return errnoError("remove cgroup " + where, result);
      poll(nullptr, 0, 1);
    }
  }
  return {};
}

void Cgroups::removeParent() const {
  for (const auto& hierarchy : hierarchies_) {
    if (owners(hierarchy) == Owners::nobody) (void)rmdir(sharedDirectory(hierarchy).c_str());
    (void)rmdir((hierarchy.mountPoint + parent_).c_str());
  }
}

CgroupUsage Cgroups::usage(const std::string& container) const {
  CgroupUsage usage;
  if (pureV2_) {
    std::string where = directory(hierarchies_[0], container);
    usage.memoryBytes = readNumber(where + "/memory.current");
    usage.cpuUsec = readKey(where + "/cpu.stat", "usage_usec");
    usage.processes = readNumber(where + "/pids.current");
    return usage;
  }
  if (const auto* memory = withController("memory"))
    usage.memoryBytes = readNumber(directory(*memory, container) + (memory->unified ? "/memory.current" : "/memory.usage_in_bytes"));
  if (const auto* cpu = withController("cpuacct")) usage.cpuUsec = readNumber(directory(*cpu, container) + "/cpuacct.usage") / 1000;
  if (const auto* pids = withController("pids")) usage.processes = readNumber(directory(*pids, container) + "/pids.current");
  return usage;
}

bool Cgroups::contains(const std::string& container, pid_t pid) const {
  auto content = readFile("/proc/" + std::to_string(pid) + "/cgroup", 1 << 16);
  if (!content.ok()) return false;
  auto where = cgroupIn(content.value(), unified_ != none ? "" : "freezer");
  return where && (*where == path(container) || where->starts_with(path(container) + "/"));
}

}  // namespace drover
