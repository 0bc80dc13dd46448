// See processes.h; proc(5), cgroup-v2.rst (io.stat), cgroup-v1/blkio-controller.rst.
#include "processes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sstream>

#include "file_io.h"
#include "inside_root.h"
#include "json_io.h"
#include "pidfd.h"

namespace drover {

namespace {

constexpr size_t mostProcesses = 2000;
constexpr size_t mostCommandBytes = 200;
constexpr size_t mostMounts = 200;
constexpr size_t statusBytes = 16 << 10;

/** The number after `key` at the start of a line; -1 without one. */
int64_t numberAfter(const std::string& text, const std::string& key) {
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1))
    if (at == 0 || text[at - 1] == '\n') return strtoll(text.c_str() + at + key.size(), nullptr, 10);
  return -1;
}

/** The last number of the line: a pid as the innermost namespace has it. */
int64_t lastNumberAfter(const std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return 0;
  const std::string line = text.substr(at + key.size(), text.find('\n', at) - at - key.size());
  const size_t gap = line.find_last_of(" \t");
  return strtoll(line.c_str() + (gap == std::string::npos ? 0 : gap), nullptr, 10);
}

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
  // The name may hold anything but is the last thing in brackets.
  const size_t open = stat.value().find('('), close = stat.value().rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.value().size()) return {};
  const std::string name = stat.value().substr(open + 1, close - open - 1);
  std::istringstream rest(stat.value().substr(close + 2));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  // Numbered from field 3, the state.
  if (fields.size() < 20) return {};
  const auto ticks = [&](size_t number) { return strtoll(fields[number - 3].c_str(), nullptr, 10); };
  static const int64_t perSecond = sysconf(_SC_CLK_TCK);
  auto io = readFile(directory + "/io", 4096);
  const int64_t uid = numberAfter(status.value(), "Uid:");
  const int64_t pages = numberAfter(status.value(), "VmRSS:");
  return Json{{"pid", lastNumberAfter(status.value(), "NSpid:")},
              {"hostPid", pid},
              {"hostParentPid", ticks(4)},
              {"uid", uid >= uidBase && uid - uidBase < uidRange ? uid - uidBase : 65534},
              {"state", fields[0]},
              {"threads", ticks(20)},
              {"cpuUsec", (ticks(14) + ticks(15)) * 1'000'000 / perSecond},
              {"memoryBytes", pages < 0 ? 0 : pages * 1024},
              {"readBytes", io.ok() ? std::max<int64_t>(0, numberAfter(io.value(), "read_bytes:")) : 0},
              {"writtenBytes", io.ok() ? std::max<int64_t>(0, numberAfter(io.value(), "write_bytes:")) : 0},
              {"command", commandOf(directory, name)}};
}

struct Traffic {
  int64_t read = 0, written = 0;
};

/** `8:0 rbytes=1 wbytes=2 …` (v2), `8:0 Read 1` (v1), summed over devices. */
Traffic trafficOf(const Engine& engine, const Container& container) {
  Traffic traffic;
  for (const auto& hierarchy : engine.cgroups().hierarchies()) {
    const bool v2 = hierarchy.controllers.count("io") != 0;
    if (!v2 && !hierarchy.controllers.count("blkio")) continue;
    auto content = readFile(hierarchy.mountPoint + engine.cgroups().path(container.id) + (v2 ? "/io.stat" : "/blkio.throttle.io_service_bytes_recursive"));
    if (!content.ok()) continue;
    std::istringstream words(content.value());
    for (std::string word, before; words >> word; before = word) {
      if (word.starts_with("rbytes=")) traffic.read += strtoll(word.c_str() + 7, nullptr, 10);
      else if (word.starts_with("wbytes=")) traffic.written += strtoll(word.c_str() + 7, nullptr, 10);
      else if (before == "Read") traffic.read += strtoll(word.c_str(), nullptr, 10);
      else if (before == "Write") traffic.written += strtoll(word.c_str(), nullptr, 10);
    }
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
  std::istringstream lines(content.value());
  for (std::string line; std::getline(lines, line) && list.size() < mostMounts;) {
    std::istringstream words(line);
    std::string id, parent, device, from, path, word, type;
    words >> id >> parent >> device >> from >> path;
    while (words >> word && word != "-") {
    }
    words >> type;
    if (auto described = describeFileSystem(root.get(), unescapeMountinfo(path), type)) list.push_back(std::move(*described));
  }
  return list;
}

}  // namespace

Result<Json> listProcesses(const Engine& engine, const Container& container) {
  const uint32_t uidBase = container.snapshot().spec.identity.uidBase;
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
