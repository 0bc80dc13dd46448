// See own_cache.h.
#include "own_cache.h"

#include <unistd.h>

#include "file_io.h"
#include "log.h"
#include "process_text.h"

namespace drover {

namespace {

/** More than there is: as much as goes. */
constexpr const char* everything = "1G";

}  // namespace

OwnCache::OwnCache(const Cgroups& cgroups) {
  const Hierarchy* memory = cgroups.withController("memory");
  if (!memory) return;
  hierarchy_ = *memory;
  own_ = memory->mountPoint + cgroups.path(".engine");
}

void OwnCache::begin() {
  if (!hierarchy_) return;
  const bool unified = hierarchy_->unified;
  auto cgroups = readFile("/proc/self/cgroup", 1 << 16);
  auto origin = cgroups.ok() ? cgroupIn(cgroups.value(), unified ? "" : "memory") : std::nullopt;
  if (!origin) return;
  auto enter = [&]() -> Status {
    DROVER_TRY(makeDirectory(own_, 0755));
    // Nothing of the engine's is to go where it has to be fetched from in a blackout. A kernel without swap has no such file.
    const std::string swapping = own_ + (unified ? "/memory.swap.max" : "/memory.swappiness");
    if (access(swapping.c_str(), F_OK) == 0) DROVER_TRY(writeKernelFile(swapping, "0"));
    return writeKernelFile(own_ + "/cgroup.procs", "0");
  };
  if (Status entered = enter(); !entered.ok()) return logLine("warn", "no memory cgroup of the engine's own: " + entered.error().message);
  origin_ = hierarchy_->mountPoint + *origin;
  inside_ = true;
}

void OwnCache::empty() const {
  (void)(hierarchy_->unified ? writeKernelFile(own_ + "/memory.reclaim", everything) : writeKernelFile(own_ + "/memory.force_empty", "0")).ok();
}

void OwnCache::end() {
  if (!inside_) return;
  inside_ = false;
  for (pid_t pid : processesIn(own_)) (void)writeKernelFile(origin_ + "/cgroup.procs", std::to_string(pid)).ok();
  (void)rmdir(own_.c_str());
}

}  // namespace drover
