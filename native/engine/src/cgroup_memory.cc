// What the memory controller tells: nearness to the limit, being at it, kills. On v1 one eventfd for both the threshold and the
// out-of-memory notification (cgroup-v1/memory.rst, 9 and 10), on v2 the file memory.events, which is polled. PSI triggers are not used:
// each would cost a kernel thread per container.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_limits.h"
#include "file_io.h"
#include "memory_guard.h"

namespace drover {

namespace {

int64_t numberOf(const std::string& path) {
  auto content = readFile(path, 64);
  return content.ok() ? strtoll(content.value().c_str(), nullptr, 10) : 0;
}

/** The value after `key` in a file of lines `key value`. */
int64_t valueOf(const std::string& text, const std::string& key) {
  size_t position = ("\n" + text).find("\n" + key + " ");
  return position == std::string::npos ? 0 : strtoll(text.c_str() + position + key.size() + 1, nullptr, 10);
}

std::string textOf(const std::string& path) {
  auto content = readFile(path, 16384);
  return content.ok() ? content.value() : "";
}

Status notify(const std::string& directory, int eventFd, const char* file, const std::string& argument) {
  UniqueFd source(open((directory + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.valid()) return errnoError("open " + directory + "/" + file);
  return writeKernelFile(directory + "/cgroup.event_control", std::to_string(eventFd) + " " + std::to_string(source.get()) + argument);
}

}  // namespace

uint32_t Cgroups::memoryEventMask() const {
  const auto* memory = withController("memory");
  return memory && memory->unified ? EPOLLPRI : EPOLLIN;
}

bool Cgroups::memoryWaits() const {
  const auto* memory = withController("memory");
  return memory && !memory->unified;
}

Result<UniqueFd> Cgroups::watchMemory(const std::string& container, const Limits& limits) const {
  const auto* memory = withController("memory");
  if (!memory) return UniqueFd();
  std::string where = directory(*memory, container);
  if (memory->unified) {
    UniqueFd events(open((where + "/memory.events").c_str(), O_RDONLY | O_CLOEXEC));
    if (!events.valid()) return errnoError("open " + where + "/memory.events");
    return events;
  }
  DROVER_TRY(writeKernelFile(where + "/memory.oom_control", limits.memoryFreeze && limits.memoryBytes > 0 ? "1" : "0"));
  if (limits.memoryBytes <= 0) return UniqueFd();
  UniqueFd events(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!events.valid()) return errnoError("create eventfd");
  DROVER_TRY(notify(where, events.get(), "memory.oom_control", ""));
  DROVER_TRY(notify(where, events.get(), "memory.usage_in_bytes", " " + std::to_string(nearLimit(limits.memoryBytes))));
  return events;
}

MemoryReading Cgroups::readMemory(const std::string& container) const {
  MemoryReading reading;
  const auto* memory = withController("memory");
  if (!memory) return reading;
  std::string where = directory(*memory, container);
  std::string stat = textOf(where + "/memory.stat");
  if (memory->unified) {
    std::string high = textOf(where + "/memory.high");
    reading.usage = numberOf(where + "/memory.current");
    reading.workingSet = reading.usage - valueOf(stat, "inactive_file");
    reading.oomKills = valueOf(textOf(where + "/memory.events"), "oom_kill");
    int64_t most = strtoll(high.c_str(), nullptr, 10);
    // A little above it is also who only writes many files; then there is much that can be dropped.
    reading.starved = !high.starts_with("max") && reading.usage > most && reading.workingSet > nearLimit(most);
    return reading;
  }
  std::string oom = textOf(where + "/memory.oom_control");
  reading.usage = numberOf(where + "/memory.usage_in_bytes");
  reading.workingSet = reading.usage - valueOf(stat, "total_inactive_file");
  reading.oomKills = valueOf(oom, "oom_kill");
  reading.starved = valueOf(oom, "under_oom") != 0;
  return reading;
}

Status Cgroups::raiseMemory(const std::string& container, int64_t bytes) const {
  const auto* memory = withController("memory");
  if (!memory) return {};
  std::string where = directory(*memory, container);
  if (memory->unified) {
    DROVER_TRY(writeKernelFile(where + "/memory.max", std::to_string(bytes + brakingBytes(bytes))));
    return writeKernelFile(where + "/memory.high", std::to_string(bytes));
  }
  // Memory and swap together may never be less than the memory; there may be no accounting of swap.
  if (access((where + "/memory.memsw.limit_in_bytes").c_str(), F_OK) == 0) DROVER_TRY(writeKernelFile(where + "/memory.memsw.limit_in_bytes", "-1"));
  return writeKernelFile(where + "/memory.limit_in_bytes", std::to_string(bytes));
}

}  // namespace drover
