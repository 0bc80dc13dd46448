// Writes limits into cgroup files. See cgroup_limits.h.
#include "cgroup_limits.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "file_io.h"

namespace drover {

namespace {

/** CFS period; the quota is the limit's share of it. */
constexpr int64_t periodUsec = 100'000;
/** What everybody has: v2's weight, and v1's shares. */
constexpr int64_t usualWeight = 100;
constexpr int64_t usualShares = 1024;
/** As v2 counts; in v1 it comes to a little less than the most. */
constexpr int64_t mostWeight = 10'000;
/** BFQ's weights end here. */
constexpr int64_t mostBfqWeight = 1000;

std::string firstLineOf(const std::string& path) {
  auto content = readFile(path, 8192);
  return content.ok() ? content.value().substr(0, content.value().find('\n')) : "";
}

struct Number {
  /** As errors name it. */
  const char* limit;
  /** v2's. */
  const char* controller;
  int64_t Limits::* value;
  /** No limit; what is above is one. */
  int64_t none;

  /** Whether the change makes it another limit than before. */
  bool asked(const Limits& from, const Limits& to) const { return to.*value > none && to.*value != from.*value; }
};
constexpr Number numbers[] = {
    {"cpu", "cpu", &Limits::cpuMilli, 0},
    {"cpu.weight", "cpu", &Limits::cpuWeight, 0},
    {"memory", "memory", &Limits::memoryBytes, 0},
    {"swap", "memory", &Limits::swapBytes, -1},
    {"pids", "pids", &Limits::pids, 0},
    {"io.weight", "io", &Limits::ioWeight, 0},
    {"io", "io", &Limits::ioReadBytes, 0},
    {"io", "io", &Limits::ioWriteBytes, 0},
    {"io", "io", &Limits::ioReadOperations, 0},
    {"io", "io", &Limits::ioWriteOperations, 0},
    // As the kernel's files name the sizes.
    {"hugepages.64KB", "hugetlb", &Limits::hugePages64KiB, -1},
    {"hugepages.1MB", "hugetlb", &Limits::hugePages1MiB, -1},
    {"hugepages.2MB", "hugetlb", &Limits::hugePages2MiB, -1},
    {"hugepages.1GB", "hugetlb", &Limits::hugePages1GiB, -1},
};

bool asksForCpus(const Limits& from, const Limits& to) { return !to.cpus.empty() && to.cpus != from.cpus; }

bool asksFor(const std::string& limit, const Limits& from, const Limits& to) {
  if (limit == "cpuset") return asksForCpus(from, to);
  return std::ranges::any_of(numbers, [&](const Number& number) { return limit == number.limit && number.asked(from, to); });
}

Error noSuchLimit(const std::string& limit) { return engineError("set " + limit + ": the kernel of this host has no such limit"); }

int64_t numberIn(const std::string& path) { return strtoll(firstLineOf(path).c_str(), nullptr, 10); }

class LimitWriter {
 public:
  LimitWriter(const Hierarchy& hierarchy, const std::string& parent, const std::string& directory, const Limits& before, const Limits& limits,
              const std::string& ioDevice, bool live)
      : hierarchy_(hierarchy), parent_(parent), directory_(directory), before_(before), limits_(limits), ioDevice_(ioDevice), live_(live) {}

  Status writeAll() { return hierarchy_.unified ? writeV2() : writeV1(); }

  Status writeRunLimits() {
    if (has("pids")) DROVER_TRY(processes());
    if (has("cpu")) DROVER_TRY(hierarchy_.unified ? processorTimeV2() : processorTimeV1());
    return {};
  }

 private:
  Status writeV2() {
    // Beside v1's controllers it has none, or only some.
    if (has("memory")) {
      DROVER_TRY(memoryV2());
      DROVER_TRY(change("memory.swap.max", number(limits_.swapBytes, "max", 0), limits_.swapBytes >= 0, "swap"));
    }
    DROVER_TRY(writeRunLimits());
    // What holds processes can't be made empty again ("as the parent's") before Linux 6.6: then all that the parent has.
    if (has("cpuset") && pins())
      DROVER_TRY(change("cpuset.cpus", limits_.cpus.empty() ? firstLineOf(parent_ + "/cpuset.cpus.effective") : limits_.cpus,
                        !limits_.cpus.empty(), "cpuset"));
    if (has("hugetlb")) DROVER_TRY(limitHugePages("max", "max"));
    if (!has("io")) return {};
    DROVER_TRY(ioWeight({"io.weight", "io.bfq.weight"}));
    return trafficV2();
  }

  Status writeV1() {
    if (has("memory")) DROVER_TRY(memoryV1());
    DROVER_TRY(writeRunLimits());
    if (has("cpuset") && pins())
      DROVER_TRY(change("cpuset.cpus", limits_.cpus.empty() ? firstLineOf(parent_ + "/cpuset.cpus") : limits_.cpus, !limits_.cpus.empty(), "cpuset"));
    if (has("hugetlb")) DROVER_TRY(limitHugePages("limit_in_bytes", "-1"));
    if (has("blkio")) {
      DROVER_TRY(ioWeight({"blkio.weight", "blkio.bfq.weight"}));
      DROVER_TRY(trafficV1());
    }
    return {};
  }

  Status processes() { return change("pids.max", number(limits_.pids, "max"), limits_.pids > 0, "pids"); }

  Status processorTimeV2() {
    DROVER_TRY(bandwidth("cpu.max", number(quota(), "max") + " " + std::to_string(periodUsec)));
    return weight("cpu.weight", limits_.cpuWeight, usualWeight, "cpu.weight");
  }

  Status processorTimeV1() {
    DROVER_TRY(bandwidth("cpu.cfs_quota_us", number(quota(), "-1")));
    int64_t shares = limits_.cpuWeight > 0 ? std::max<int64_t>(2, limits_.cpuWeight * usualShares / usualWeight) : 0;
    return weight("cpu.shares", shares, usualShares, "cpu.weight");
  }

  /** The kernel would kill what doesn't fit under a lower memory.max: memory.high makes it give back first. */
  Status memoryV2() {
    int64_t wanted = limits_.memoryBytes;
    bool lowered = live_ && wanted > 0 && numberIn(path("memory.current")) > wanted;
    if (lowered) {
      DROVER_TRY(write("memory.high", std::to_string(wanted), true, "memory"));
      int64_t left = numberIn(path("memory.current"));
      if (left > wanted) {
        DROVER_TRY(write("memory.high", "max", true, "memory"));
        return inUse(left);
      }
    }
    bool freezes = limits_.memoryFreeze && wanted > 0;
    Status written = change("memory.max", number(freezes ? wanted + brakingBytes(wanted) : wanted, "max"), wanted > 0, "memory");
    if (freezes) DROVER_TRY(write("memory.high", std::to_string(wanted), true, "memory"));
    else if (lowered || live_) DROVER_TRY(write("memory.high", "max", lowered, "memory"));
    return written;
  }

  /** memsw (memory and swap together) must never be below the memory: out of the way first. */
  Status memoryV1() {
    bool swap = limits_.swapBytes >= 0 && limits_.memoryBytes > 0;
    if (live_) DROVER_TRY(change("memory.memsw.limit_in_bytes", "-1", false, "swap"));
    Status written = change("memory.limit_in_bytes", number(limits_.memoryBytes, "-1"), limits_.memoryBytes > 0, "memory");
    if (!written.ok()) return live_ ? inUse(numberIn(path("memory.usage_in_bytes"))) : written;
    if (!swap) return {};
    return write("memory.memsw.limit_in_bytes", std::to_string(limits_.memoryBytes + limits_.swapBytes), true, "swap");
  }

  Error inUse(int64_t bytes) const {
    return engineError("set memory=" + std::to_string(limits_.memoryBytes) + ": " + std::to_string(bytes) +
                       " bytes are in use and can't be given back");
  }

  /** What is reserved is limited as what is used: mmap then says ENOMEM, where it would be SIGBUS later. */
  Status limitHugePages(const std::string& file, const char* unlimited) {
    for (const auto& [limit, controller, bytes, none] : numbers) {
      if (std::string_view(controller) != "hugetlb") continue;
      std::string prefix = std::string("hugetlb") + strchr(limit, '.');
      for (const char* what : {".", ".rsvd."})
        DROVER_TRY(change((prefix + what + file).c_str(), number(limits_.*bytes, unlimited, 0), limits_.*bytes > none, limit));
    }
    return {};
  }

  Status ioWeight(std::initializer_list<const char*> files) {
    for (const char* file : files) {
      if (access(path(file).c_str(), F_OK) != 0) continue;
      bool bfq = std::string(file).find("bfq") != std::string::npos;
      return weight(file, bfq ? std::min(limits_.ioWeight, mostBfqWeight) : limits_.ioWeight, usualWeight, "io.weight");
    }
    return asks("io.weight") ? noSuchLimit("io.weight") : Status();
  }

  Status trafficV2() {
    if (!limitsTraffic() && !live_) return {};
    if (ioDevice_.empty()) return asks("io") ? noDevice() : Status();
    auto most = [](int64_t value) { return value > 0 ? std::to_string(value) : std::string("max"); };
    return change("io.max",
                  ioDevice_ + " rbps=" + most(limits_.ioReadBytes) + " wbps=" + most(limits_.ioWriteBytes) +
                      " riops=" + most(limits_.ioReadOperations) + " wiops=" + most(limits_.ioWriteOperations),
                  limitsTraffic(), "io");
  }

  Status trafficV1() {
    if (!limitsTraffic() && !live_) return {};
    if (ioDevice_.empty()) return asks("io") ? noDevice() : Status();
    const std::pair<const char*, int64_t> files[] = {
        {"blkio.throttle.read_bps_device", limits_.ioReadBytes},
        {"blkio.throttle.write_bps_device", limits_.ioWriteBytes},
        {"blkio.throttle.read_iops_device", limits_.ioReadOperations},
        {"blkio.throttle.write_iops_device", limits_.ioWriteOperations},
    };
    // 0 takes a limit away.
    for (const auto& [file, value] : files) DROVER_TRY(change(file, ioDevice_ + " " + std::to_string(value), value > 0, "io"));
    return {};
  }

  bool limitsTraffic() const {
    return limits_.ioReadBytes > 0 || limits_.ioWriteBytes > 0 || limits_.ioReadOperations > 0 || limits_.ioWriteOperations > 0;
  }
  /** Or may have been pinned until now. */
  bool pins() const { return live_ || !limits_.cpus.empty(); }
  int64_t quota() const { return limits_.cpuMilli * periodUsec / 1000; }
  bool asks(const char* limit) const { return asksFor(limit, before_, limits_); }
  bool has(const char* controller) const { return hierarchy_.controllers.contains(controller); }
  std::string path(const std::string& file) const { return directory_ + "/" + file; }

  static std::string number(int64_t value, const char* unlimited, int64_t least = 1) {
    return value >= least ? std::to_string(value) : std::string(unlimited);
  }

  Error noDevice() const { return engineError("set io: the containers' disks are on a file system without a block device of its own"); }

  /** Setting it, the kernel looks at every cgroup of the host (__cfs_schedulable): half a millisecond with a thousand containers. */
  Status bandwidth(const char* file, const std::string& value) {
    const bool wanted = limits_.cpuMilli > 0;
    return (!wanted && !live_) || firstLineOf(path(file)) == value ? Status() : write(file, value, wanted, "cpu");
  }

  /** A new cgroup has the usual weight already. */
  Status weight(const char* file, int64_t value, int64_t usual, const char* limit) {
    return change(file, std::to_string(value > 0 ? value : usual), value > 0, limit);
  }

  /** As write, for what a new cgroup has already when nothing is wanted. */
  Status change(const char* file, const std::string& value, bool wanted, const char* limit) {
    return wanted || live_ ? write(file, value, wanted, limit) : Status();
  }

  Status write(const char* file, const std::string& value, bool wanted, const char* limit) {
    if (access(path(file).c_str(), F_OK) != 0) return wanted && asks(limit) ? noSuchLimit(limit) : Status();
    Status written = writeKernelFile(path(file), value);
    if (written.ok()) return {};
    return engineError(std::string("set ") + limit + ": the kernel refuses `" + value + "`: " + written.error().message);
  }

  const Hierarchy& hierarchy_;
  const std::string& parent_;
  const std::string& directory_;
  const Limits& before_;
  const Limits& limits_;
  const std::string& ioDevice_;
  const bool live_;
};

}  // namespace

Status applyLimits(const Hierarchy& hierarchy, const std::string& parent, const std::string& directory, const Limits& before,
                   const Limits& limits, const std::string& ioDevice, bool live) {
  return LimitWriter(hierarchy, parent, directory, before, limits, ioDevice, live).writeAll();
}

Status refuseUnknownLimits(const std::set<std::string>& controllers, const Limits& from, const Limits& to) {
  auto knows = [&](const std::string& controller) { return controllers.contains(controller) || (controller == "io" && controllers.contains("blkio")); };
  for (const auto& number : numbers)
    if (number.asked(from, to) && !knows(number.controller)) return noSuchLimit(number.limit);
  return asksForCpus(from, to) && !knows("cpuset") ? noSuchLimit("cpuset") : Status();
}

Status applyRunLimits(const Hierarchy& hierarchy, const std::string& directory, const Limits& limits) {
  const std::string nothing;
  return LimitWriter(hierarchy, nothing, directory, limits, limits, nothing, true).writeRunLimits();
}

Limits noRunLimits() {
  Limits most;
  most.cpuWeight = mostWeight;
  return most;
}

int64_t brakingBytes(int64_t limit) { return std::max<int64_t>(limit / 4, 16 << 20); }

std::string blockDeviceOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || major(info.st_dev) == 0) return "";
  std::string device = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  std::string system = "/sys/dev/block/" + device;
  // The kernel limits whole disks only: a partition's directory lies in its disk's.
  if (access((system + "/partition").c_str(), F_OK) == 0) device = firstLineOf(system + "/../dev");
  return device;
}

}  // namespace drover
