// What a container sets of the kernel for itself: variables of its own namespaces (sysctl) and how far each of its processes may go
// (setrlimit). Here they are only read and checked; sysctl.h and resource_limits.h make them true.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "error.h"

namespace drover {

/** By name, with dots or with slashes as in sysctl(8); the value is written as it is. */
using Sysctls = std::map<std::string, std::string>;

struct ResourceLimit {
  /** RLIMIT_… */
  int resource = 0;
  /** UINT64_MAX: none. */
  uint64_t soft = 0;
  uint64_t hard = 0;

  bool operator==(const ResourceLimit&) const = default;
};
/** By resource, each once. */
using ResourceLimits = std::vector<ResourceLimit>;

/** Path below /proc/sys; empty: it is no variable that is a container's own. */
std::string sysctlPath(const std::string& name);
/** As setrlimit(2) has it, without RLIMIT_ and in small letters. */
const char* resourceName(int resource);

Result<Sysctls> parseSysctls(const nlohmann::json& value);
nlohmann::json sysctlsToJson(const Sysctls& sysctls);
Result<ResourceLimits> parseResourceLimits(const nlohmann::json& value);
nlohmann::json resourceLimitsToJson(const ResourceLimits& limits);

}  // namespace drover
