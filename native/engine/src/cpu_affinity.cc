#include "cpu_affinity.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <map>

#include "file_io.h"
#include "process_text.h"
#include "unique_fd.h"
#include "words.h"

namespace drover {
namespace {

constexpr const char* fileName = "cpu-affinity";
constexpr size_t largestFile = 64 << 20;
constexpr size_t statusBytes = 16 << 10;

std::optional<int> number(std::string_view text, int most) {
  int value = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) return std::nullopt;
  return value;
}

/** Where the container may run; all that a cpu_set_t holds if the kernel doesn't say. */
cpu_set_t cpusOf(const Cgroups& cgroups, const std::string& container) {
  std::vector<std::string> files;
  for (const Hierarchy& hierarchy : cgroups.hierarchies())
    if (hierarchy.controllers.contains("cpuset"))
      files.push_back(cgroups.place(hierarchy, container) + (hierarchy.unified ? "/cpuset.cpus.effective" : "/cpuset.effective_cpus"));
  files.push_back("/sys/devices/system/cpu/online");
  for (const auto& file : files) {
    auto text = readFile(file, statusBytes);
    auto words = text.ok() ? splitWords(text.value()) : std::vector<std::string_view>();
    auto cpus = words.size() == 1 ? parseCpuList(words[0]) : std::nullopt;
    if (cpus && CPU_COUNT(&*cpus) > 0) return *cpus;
  }
  cpu_set_t none;
  CPU_ZERO(&none);
  return none;
}

/** Threads of a process, as the host sees them. */
std::vector<pid_t> threadsOf(pid_t process) {
  std::vector<pid_t> threads;
  DIR* open = opendir(("/proc/" + std::to_string(process) + "/task").c_str());
  if (open == nullptr) return threads;
  while (const dirent* entry = readdir(open))
    if (auto thread = number(entry->d_name, INT32_MAX)) threads.push_back(*thread);
  closedir(open);
  return threads;
}

/** Its number inside; 0: it is gone. */
pid_t insideOf(pid_t process, pid_t thread) {
  auto status = readFile("/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) + "/status", statusBytes);
  return status.ok() ? static_cast<pid_t>(lastNumberAfter(status.value(), "NSpid:")) : 0;
}

std::string nameOf(pid_t process) {
  auto name = readFile("/proc/" + std::to_string(process) + "/comm", statusBytes);
  if (!name.ok()) return "";
  return name.value().substr(0, name.value().find('\n'));
}

}  // namespace

std::optional<cpu_set_t> parseCpuList(std::string_view text) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (std::string_view part : splitAt(text, ',')) {
    const size_t dash = part.find('-');
    auto first = number(part.substr(0, dash), CPU_SETSIZE - 1);
    auto last = dash == std::string_view::npos ? first : number(part.substr(dash + 1), CPU_SETSIZE - 1);
    if (!first || !last || *first > *last) return std::nullopt;
    for (int cpu = *first; cpu <= *last; cpu++) CPU_SET(cpu, &cpus);
  }
  return cpus;
}

std::string formatCpuList(const cpu_set_t& cpus) {
  std::string text;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    const int first = cpu;
    while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, &cpus)) cpu++;
    text += (text.empty() ? "" : ",") + std::to_string(first) + (cpu > first ? "-" + std::to_string(cpu) : "");
  }
  return text;
}

std::vector<BoundThread> boundThreads(const Cgroups& cgroups, const std::string& container, const std::vector<pid_t>& processes) {
  std::vector<BoundThread> bound;
  const cpu_set_t all = cpusOf(cgroups, container);
  for (pid_t process : processes) {
    for (pid_t thread : threadsOf(process)) {
      cpu_set_t cpus, both;
      // One that is gone, or a kernel with more CPUs than that: not bound, as far as can be told.
      if (sched_getaffinity(thread, sizeof cpus, &cpus) != 0) continue;
      CPU_AND(&both, &cpus, &all);
      if (CPU_EQUAL(&both, &all)) continue;
      BoundThread each{insideOf(process, process), insideOf(process, thread), nameOf(process), cpus};
      if (each.process > 0 && each.thread > 0) bound.push_back(std::move(each));
    }
  }
  return bound;
}

Status saveAffinities(const Cgroups& cgroups, const std::string& container, int directory) {
  std::string text;
  for (const auto& [process, thread, name, cpus] : boundThreads(cgroups, container, cgroups.processes(container)))
    text += std::to_string(process) + " " + std::to_string(thread) + " " + formatCpuList(cpus) + "\n";
  if (text.empty()) return {};
  UniqueFd file(openat(directory, fileName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return errnoError(std::string("write ") + fileName);
  return {};
}

Status restoreAffinities(const Cgroups& cgroups, const std::string& container, int directory) {
  if (faccessat(directory, fileName, F_OK, 0) != 0) return {};
  DROVER_TRY_ASSIGN(text, readFile("/proc/self/fd/" + std::to_string(directory) + "/" + fileName, largestFile));
  std::map<pid_t, std::map<pid_t, cpu_set_t>> wanted;
  for (std::string_view line : splitAt(text, '\n')) {
    auto words = splitWords(line);
    if (words.empty()) continue;
    auto process = words.size() == 3 ? number(words[0], INT32_MAX) : std::nullopt;
    auto thread = words.size() == 3 ? number(words[1], INT32_MAX) : std::nullopt;
    auto cpus = words.size() == 3 ? parseCpuList(words[2]) : std::nullopt;
    if (!process || !thread || !cpus) return engineError(std::string(fileName) + " is not a list of threads and CPUs");
    wanted[*process].emplace(*thread, *cpus);
  }
  for (pid_t process : cgroups.processes(container)) {
    auto found = wanted.find(insideOf(process, process));
    if (found == wanted.end()) continue;
    for (pid_t thread : threadsOf(process)) {
      auto cpus = found->second.find(insideOf(process, thread));
      if (cpus == found->second.end() || sched_setaffinity(thread, sizeof cpus->second, &cpus->second) == 0) continue;
      if (errno != EINVAL) return errnoError("bind thread " + std::to_string(cpus->first) + " to CPUs " + formatCpuList(cpus->second));
    }
  }
  return {};
}

}  // namespace drover
