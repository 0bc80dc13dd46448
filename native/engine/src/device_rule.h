// One line of a list of devices, as v1's devices.list has it. No effects; fuzzed as `device-rules`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

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

}  // namespace drover
