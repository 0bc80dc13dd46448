// What a container may do beyond, or not even of, what every container may: its capabilities, nesting, and whether its root is the
// host's. Chosen by the spec, in force from its start on, carried by a live move.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace drover {

/** Sets of capabilities are masks: bit n is the capability n of capabilities(7). */
struct Security {
  /** Kept although they are usually dropped. */
  uint64_t addedCapabilities = 0;
  uint64_t droppedCapabilities = 0;
  /** Containers inside: a clean proc and sysfs to mount more of, /dev/fuse, /dev/net/tun. */
  bool nesting = false;
  /** No user namespace: its root is the host's. */
  bool privileged = false;
  /** Only packets with its own addresses leave it. */
  bool addressFilter = true;
  /** Names of system calls, sorted: refused beside those of the usual filter, and let through although it refuses them. */
  std::vector<std::string> deniedSyscalls;
  std::vector<std::string> allowedSyscalls;

  bool operator==(const Security&) const = default;
};

/** The number of a capability named without `CAP_`, in capitals; empty: there is none of that name. */
std::optional<int> capabilityNumber(std::string_view name);
/** Those that it never gets, not even inside its own user namespace. */
uint64_t lackingCapabilities(const Security& security);
/** The `security` object; what is missing is as usual. */
Result<Security> parseSecurity(const nlohmann::json& value);
nlohmann::json securityToJson(const Security& security);

}  // namespace drover
