// See processes.h and process_text.h.
#include "processes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "file_io.h"
#include "inside_root.h"
#include "json_io.h"
#include "mountinfo.h"
#include "pidfd.h"
#include "process_text.h"

namespace drover {

namespace {

constexpr size_t mostProcesses = 2000;
constexpr size_t mostCommandBytes = 200;
constexpr size_t mostMounts = 200;
constexpr size_t statusBytes = 16 << 10;

/** Words of the command line with blanks between; of a kernel thread or zombie its name in brackets. */
std::string commandOf(const std::string& directory, const std::string& name) {
  auto content = readFile(directory + "/cmdline", mostCommandBytes);
  if (!content.ok() || content.value().empty()) return "[" + name + "]";
  std::string command = content.value();
  while (!command.empty() && command.back() == '\0') command.pop_back();
  for (auto& character : command)
    if (static_cast<unsigned char>(character) < ' ') character = ' ';
  return command;
}

std::optional<Json> describeProcess(pid_t pid, uint32_t uidBase) {
  const std::string directory = "/proc/" + std::to_string(pid);
  auto status = readFile(directory + "/status", statusBytes);
  auto stat = readFile(directory + "/stat", 4096);
  if (!status.ok() || !stat.ok() || status.value().empty()) return {};
  const auto parsed = parseProcessStat(stat.value());
  if (!parsed) return {};
  static const int64_t perSecond = sysconf(_SC_CLK_TCK);
  auto io = readFile(directory + "/io", 4096);
  const int64_t uid = numberAfter(status.value(), "Uid:");
  const int64_t pages = numberAfter(status.value(), "VmRSS:");
  return Json{{"pid", lastNumberAfter(status.value(), "NSpid:")},
              {"hostPid", pid},
              {"hostParentPid", parsed->parentPid},
              {"uid", uid >= uidBase && uid - uidBase < uidRange ? uid - uidBase : 65534},
              {"state", std::string(1, parsed->state)},
              {"threads", parsed->threads},
              {"cpuUsec", parsed->ticks / perSecond * 1'000'000 + parsed->ticks % perSecond * 1'000'000 / perSecond},
              {"memoryBytes", pages < 0 ? 0 : pages * 1024},
              {"readBytes", io.ok() ? std::max<int64_t>(0, numberAfter(io.value(), "read_bytes:")) : 0},
              {"writtenBytes", io.ok() ? std::max<int64_t>(0, numberAfter(io.value(), "write_bytes:")) : 0},
              {"command", commandOf(directory, parsed->name)}};
}

Traffic trafficOf(const Engine& engine, const Container& container) {
  Traffic traffic;
  for (const auto& hierarchy : engine.cgroups().hierarchies()) {
    const bool v2 = hierarchy.controllers.count("io") != 0;
    if (!v2 && !hierarchy.controllers.count("blkio")) continue;
    auto content = readFile(hierarchy.mountPoint + engine.cgroups().path(container.id) + (v2 ? "/io.stat" : "/blkio.throttle.io_service_bytes_recursive"));
    if (!content.ok()) continue;
    const Traffic here = parseTraffic(content.value());
    traffic.read += here.read;
    traffic.written += here.written;
  }
  return traffic;
}

std::optional<Json> describeFileSystem(int root, const std::string& path, const std::string& type) {
  UniqueFd place = openWithin(root, path, O_PATH);
  struct statvfs info;
  if (!place.valid() || !holdsFiles(place.get()) || fstatvfs(place.get(), &info) != 0 || info.f_blocks == 0) return {};
  const auto bytes = [&](fsblkcnt_t blocks) { return static_cast<int64_t>(blocks) * static_cast<int64_t>(info.f_frsize); };
  return Json{{"path", path},
              {"type", type},
              {"totalBytes", bytes(info.f_blocks)},
              {"usedBytes", bytes(info.f_blocks - info.f_bfree)},
              {"availableBytes", bytes(info.f_bavail)}};
}

Result<Json> fileSystemsOf(const Container& container) {
  DROVER_TRY_ASSIGN(root, openInsideRoot(container));
  Json list = Json::array();
  const pid_t init = container.snapshot().initPid;
  if (init == 0) {
    if (auto described = describeFileSystem(root.get(), "/", "overlay")) list.push_back(std::move(*described));
    return list;
  }
  auto content = readFile("/proc/" + std::to_string(init) + "/mountinfo");
  if (!content.ok()) return content.error();
  for (const auto& mount : parseMountinfo(content.value(), mostMounts))
    if (auto described = describeFileSystem(root.get(), mount.path, mount.type)) list.push_back(std::move(*described));
  return list;
}

}  // namespace

Result<Json> listProcesses(const Engine& engine, const Container& container) {
  const uint32_t uidBase = container.snapshot().spec.owner();
  const auto pids = engine.cgroups().processes(container.id);
  Json list = Json::array();
  for (pid_t pid : pids) {
    if (list.size() >= mostProcesses) break;
    if (auto described = describeProcess(pid, uidBase)) list.push_back(std::move(*described));
  }
  return Json{{"processes", std::move(list)}, {"more", pids.size() > mostProcesses}, {"atMs", nowMs()}};
}

Result<Json> describeUsage(const Engine& engine, const Container& container, bool fileSystems) {
  const CgroupUsage usage = engine.cgroups().usage(container.id);
  const Traffic traffic = trafficOf(engine, container);
  Json list = Json::array();
  if (fileSystems) {
    DROVER_TRY_ASSIGN(found, fileSystemsOf(container));
    list = std::move(found);
  }
  return Json{{"memoryBytes", usage.memoryBytes},
              {"cpuUsec", usage.cpuUsec},
              {"processes", usage.processes},
              {"readBytes", traffic.read},
              {"writtenBytes", traffic.written},
              {"atMs", nowMs()},
              {"fileSystems", std::move(list)}};
}

}  // namespace drover
