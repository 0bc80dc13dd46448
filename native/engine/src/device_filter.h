// The list of devices that a container may use, on cgroup v2: an eBPF program on its cgroup, as v1's devices controller is on v1. See
// cgroup-v2.rst, “Device controller”. Replacing the program changes the list of a container that runs, at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace drover {

/** Of major:minor, with a star for any minor: `c 136:* rwm`. */
struct DeviceRule {
  bool block = false;
  uint32_t major = 0;
  std::optional<uint32_t> minor;
  /** BPF_DEVCG_ACC_*. */
  uint32_t access = 0;
};

/** Nothing where the text is none. */
std::optional<DeviceRule> parseDeviceRule(std::string_view text);
/** From now on the processes in and below the cgroup use these devices and no others. */
Status filterDevices(const std::string& cgroup, const std::vector<std::string>& rules);

}  // namespace drover
