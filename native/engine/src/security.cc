// See security.h and capabilities(7).
#include "security.h"

#include <linux/capability.h>

#include <algorithm>
#include <set>

#include "json_io.h"

namespace drover {

namespace {

/** By number, from 0. */
constexpr std::string_view names[] = {
    "CHOWN",          "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",       "FSETID",         "KILL",        "SETGID",        "SETUID",       "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",  "NET_RAW",        "IPC_LOCK",    "IPC_OWNER",     "SYS_MODULE",   "SYS_RAWIO",
    "SYS_CHROOT",     "SYS_PTRACE",   "SYS_PACCT",       "SYS_ADMIN",    "SYS_BOOT",       "SYS_NICE",    "SYS_RESOURCE",  "SYS_TIME",     "SYS_TTY_CONFIG",
    "MKNOD",          "LEASE",        "AUDIT_WRITE",     "AUDIT_CONTROL", "SETFCAP",       "MAC_OVERRIDE", "MAC_ADMIN",    "SYSLOG",       "WAKE_ALARM",
    "BLOCK_SUSPEND",  "AUDIT_READ",   "PERFMON",         "BPF",          "CHECKPOINT_RESTORE",
};
constexpr int count = static_cast<int>(std::size(names));
static_assert(names[CAP_SYS_ADMIN] == "SYS_ADMIN" && names[CAP_CHECKPOINT_RESTORE] == "CHECKPOINT_RESTORE" && count == CAP_CHECKPOINT_RESTORE + 1);

constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }

/** As LXC does. CAP_SYS_BOOT stays: reboot(2) in an own pid namespace only ends that namespace. */
constexpr uint64_t usuallyDropped =
    bit(CAP_SYS_MODULE) | bit(CAP_SYS_RAWIO) | bit(CAP_SYS_TIME) | bit(CAP_MAC_ADMIN) | bit(CAP_MAC_OVERRIDE) | bit(CAP_WAKE_ALARM) | bit(CAP_SYSLOG);

constexpr size_t longestNameShown = 40;

Result<uint64_t> parseNames(const Json& value, const char* name) {
  if (!present(value, name)) return uint64_t{0};
  const Json& list = value[name];
  if (!list.is_array() || list.size() > static_cast<size_t>(count)) return badRequest(std::string("field `") + name + "`: must be a list of at most " + std::to_string(count) + " capabilities");
  uint64_t mask = 0;
  for (const auto& entry : list) {
    auto number = entry.is_string() ? capabilityNumber(entry.get_ref<const std::string&>()) : std::nullopt;
    if (!number) return badRequest(std::string("field `") + name + "`: `" + toText(entry).substr(0, longestNameShown) + "` is no capability like NET_ADMIN");
    mask |= bit(*number);
  }
  return mask;
}

Json namesOf(uint64_t mask) {
  Json list = Json::array();
  for (int number = 0; number < count; ++number)
    if (mask & bit(number)) list.push_back(names[number]);
  return list;
}

constexpr size_t mostSyscalls = 512;
constexpr size_t longestSyscall = 64;

/** Whether there are such calls, the filter's maker knows (seccomp_profile.h). */
Result<std::vector<std::string>> parseSyscalls(const Json& value, const char* name) {
  std::set<std::string> calls;
  if (!present(value, name)) return std::vector<std::string>();
  const Json& list = value[name];
  if (!list.is_array() || list.size() > mostSyscalls) return badRequest(std::string("field `") + name + "`: must be a list of at most " + std::to_string(mostSyscalls) + " system calls");
  for (const auto& entry : list) {
    std::string call = entry.is_string() ? entry.get<std::string>() : "";
    if (call.empty() || call.size() > longestSyscall || call.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
      return badRequest(std::string("field `") + name + "`: `" + toText(entry).substr(0, longestNameShown) + "` is no system call like keyctl");
    calls.insert(call);
  }
  return std::vector<std::string>(calls.begin(), calls.end());
}

}  // namespace

std::optional<int> capabilityNumber(std::string_view name) {
  for (int number = 0; number < count; ++number)
    if (names[number] == name) return number;
  return std::nullopt;
}

uint64_t lackingCapabilities(const Security& security) { return (usuallyDropped & ~security.addedCapabilities) | security.droppedCapabilities; }

Result<Security> parseSecurity(const Json& value) {
  Security security;
  DROVER_TRY_ASSIGN(added, parseNames(value, "addCapabilities"));
  DROVER_TRY_ASSIGN(dropped, parseNames(value, "dropCapabilities"));
  if (added & dropped) return badRequest("field `addCapabilities`: " + toText(namesOf(added & dropped)) + " are in `dropCapabilities` as well");
  security.addedCapabilities = added;
  security.droppedCapabilities = dropped;
  DROVER_TRY_ASSIGN(denied, parseSyscalls(value, "denySyscalls"));
  DROVER_TRY_ASSIGN(allowed, parseSyscalls(value, "allowSyscalls"));
  auto both = std::find_first_of(denied.begin(), denied.end(), allowed.begin(), allowed.end());
  if (both != denied.end()) return badRequest("field `denySyscalls`: " + *both + " is in `allowSyscalls` as well");
  security.deniedSyscalls = denied;
  security.allowedSyscalls = allowed;
  for (auto [name, member] : {std::pair{"nesting", &Security::nesting}, {"privileged", &Security::privileged}, {"addressFilter", &Security::addressFilter}}) {
    if (!present(value, name)) continue;
    DROVER_TRY_ASSIGN(wanted, booleanField(value, name));
    security.*member = wanted;
  }
  return security;
}

Json securityToJson(const Security& security) {
  return {{"addCapabilities", namesOf(security.addedCapabilities)},
          {"dropCapabilities", namesOf(security.droppedCapabilities)},
          {"nesting", security.nesting},
          {"privileged", security.privileged},
          {"addressFilter", security.addressFilter},
          {"denySyscalls", security.deniedSyscalls},
          {"allowSyscalls", security.allowedSyscalls}};
}

}  // namespace drover
