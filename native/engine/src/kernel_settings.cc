// See kernel_settings.h, sysctl(8), setrlimit(2).
#include "kernel_settings.h"

#include <sys/resource.h>

#include <algorithm>

#include "json_io.h"

namespace drover {

namespace {

constexpr size_t most = 64;
constexpr size_t longestName = 256;
constexpr size_t longestValue = 1024;
constexpr size_t longestShown = 64;
constexpr uint64_t unlimited = UINT64_MAX;

constexpr const char* resources[] = {"cpu",     "fsize", "data", "stack", "core",       "rss",      "nproc", "nofile",
                                     "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
static_assert(std::size(resources) == RLIM_NLIMITS && RLIMIT_NOFILE == 7 && RLIMIT_NPROC == 6 && RLIMIT_MEMLOCK == 8 && RLIMIT_AS == 9 && RLIMIT_RTTIME == 15);

/** Of the IPC and UTS namespaces; everything else there is the host's. */
constexpr std::string_view ownKernelVariables[] = {"shmmax", "shmall", "shmmni",      "shm_rmid_forced", "msgmax",
                                                   "msgmnb", "msgmni", "sem", "auto_msgmni", "domainname"};

bool isPart(std::string_view part) {
  return !part.empty() && part != "." && part != ".." &&
         part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == std::string_view::npos;
}

Result<uint64_t> bound(const Json& limit, const char* name) {
  if (!present(limit, name)) return unlimited;
  DROVER_TRY_ASSIGN(number, integerField(limit, name, 0, INT64_MAX));
  return static_cast<uint64_t>(number);
}

Json boundToJson(uint64_t value) { return value == unlimited ? Json(nullptr) : Json(value); }

}  // namespace

std::string sysctlPath(const std::string& name) {
  if (name.size() > longestName) return "";
  std::string path = name;
  const size_t slash = name.find('/'), dot = name.find('.');
  // What stands first is what parts are told by; the other one is then part of a name.
  if (dot < slash)
    for (char& each : path) each = each == '.' ? '/' : each == '/' ? '.' : each;
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    parts.push_back(std::string_view(path).substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() < 2 || !std::all_of(parts.begin(), parts.end(), isPart)) return "";
  const bool network = parts[0] == "net";
  const bool queues = parts[0] == "fs" && parts[1] == "mqueue" && parts.size() == 3;
  const bool kernel = parts[0] == "kernel" && parts.size() == 2 &&
                      std::find(std::begin(ownKernelVariables), std::end(ownKernelVariables), parts[1]) != std::end(ownKernelVariables);
  return network || queues || kernel ? path : "";
}

const char* resourceName(int resource) { return resource >= 0 && resource < static_cast<int>(std::size(resources)) ? resources[resource] : "?"; }

Result<Sysctls> parseSysctls(const Json& value) {
  if (!value.is_object() || value.size() > most) return badRequest("field `sysctls`: must be an object of at most " + std::to_string(most) + " variables");
  Sysctls sysctls;
  for (const auto& [name, entry] : value.items()) {
    if (sysctlPath(name).empty()) return badRequest("field `sysctls`: `" + name.substr(0, longestShown) + "` is no variable of a container's own, like net.ipv4.ip_forward");
    DROVER_TRY_ASSIGN(text, stringField(value, name.c_str(), longestValue));
    if (text.empty() || std::any_of(text.begin(), text.end(), [](unsigned char each) { return each < ' ' || each > '~'; }))
      return badRequest("field `sysctls`: the value of `" + name + "` must be one line of printable characters");
    sysctls[name] = text;
  }
  return sysctls;
}

Json sysctlsToJson(const Sysctls& sysctls) { return sysctls.empty() ? Json::object() : Json(sysctls); }

Result<ResourceLimits> parseResourceLimits(const Json& value) {
  if (!value.is_object()) return badRequest("field `rlimits`: must be an object");
  ResourceLimits limits;
  for (const auto& [name, entry] : value.items()) {
    auto found = std::find(std::begin(resources), std::end(resources), name);
    if (found == std::end(resources)) return badRequest("field `rlimits`: `" + name.substr(0, longestShown) + "` is no limit like nofile");
    if (!entry.is_object()) return badRequest("field `rlimits`: `" + name + "` must be an object of soft and hard");
    DROVER_TRY_ASSIGN(soft, bound(entry, "soft"));
    DROVER_TRY_ASSIGN(hard, bound(entry, "hard"));
    if (soft > hard) return badRequest("field `rlimits`: `" + name + "`: soft is above hard");
    limits.push_back({static_cast<int>(found - std::begin(resources)), soft, hard});
  }
  std::sort(limits.begin(), limits.end(), [](const ResourceLimit& left, const ResourceLimit& right) { return left.resource < right.resource; });
  return limits;
}

Json resourceLimitsToJson(const ResourceLimits& limits) {
  Json value = Json::object();
  for (const auto& limit : limits) value[resourceName(limit.resource)] = {{"soft", boundToJson(limit.soft)}, {"hard", boundToJson(limit.hard)}};
  return value;
}

}  // namespace drover
