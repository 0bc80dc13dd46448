// See own_cache.h.
#include "own_cache.h"

#include <unistd.h>

#include "file_io.h"
#include "log.h"
#include "process_text.h"

namespace drover {

OwnCache::OwnCache(const Cgroups& cgroups) : mountPoint_(cgroups.memoryMountOfV1()), own_(mountPoint_ + cgroups.path(".engine")) {}

void OwnCache::begin() {
  if (mountPoint_.empty()) return;
  auto cgroups = readFile("/proc/self/cgroup", 1 << 16);
  auto origin = cgroups.ok() ? cgroupIn(cgroups.value(), "memory") : std::nullopt;
  auto enter = [&]() -> Status {
    DROVER_TRY(makeDirectory(own_, 0755));
    // Nothing of the engine's is to go where it has to be fetched from in a blackout.
    DROVER_TRY(writeKernelFile(own_ + "/memory.swappiness", "0"));
    return writeKernelFile(own_ + "/cgroup.procs", "0");
  };
  Status entered = origin ? enter() : engineError("it can't tell which one it is in");
  if (!entered.ok()) logLine("warn", "no memory cgroup of the engine's own: " + entered.error().message);
  if (!entered.ok()) return;
  origin_ = mountPoint_ + *origin;
  inside_ = true;
}

void OwnCache::empty() const { (void)writeKernelFile(own_ + "/memory.force_empty", "0").ok(); }

void OwnCache::end() {
  if (!inside_) return;
  inside_ = false;
  for (pid_t pid : processesIn(own_)) (void)writeKernelFile(origin_ + "/cgroup.procs", std::to_string(pid)).ok();
  (void)rmdir(own_.c_str());
}

}  // namespace drover
