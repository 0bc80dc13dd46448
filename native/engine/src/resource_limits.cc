// See resource_limits.h.
#include "resource_limits.h"

#include <sys/resource.h>

#include <cerrno>

namespace drover {

namespace {

int change(pid_t process, int resource, const rlimit64* wanted, rlimit64* before) {
  return prlimit64(process, static_cast<__rlimit_resource>(resource), wanted, before) == 0 ? 0 : errno;
}

int raise(pid_t process, const ResourceLimit& limit) {
  rlimit64 now = {};
  if (int number = change(process, limit.resource, nullptr, &now); number != 0) return number;
  if (limit.hard <= now.rlim_max) return 0;
  now.rlim_max = limit.hard;
  return change(process, limit.resource, &now, nullptr);
}

Error refusal(pid_t process, const ResourceLimit& limit, int number) {
  const std::string bound = limit.hard == UINT64_MAX ? "unlimited" : std::to_string(limit.hard);
  const std::string what = std::string("rlimit ") + resourceName(limit.resource) + " = " + bound;
  rlimit64 now = {};
  if (number != EPERM || change(process, limit.resource, nullptr, &now) != 0) return errnoError(what, number);
  return Error{"BAD_REQUEST", what + ": this host gives at most " + std::to_string(now.rlim_max)};
}

}  // namespace

Status raiseResourceLimits(pid_t process, const ResourceLimits& limits) {
  for (const auto& limit : limits)
    if (int number = raise(process, limit); number != 0) return refusal(process, limit, number);
  return {};
}

int raiseOwnResourceLimits(const ResourceLimits& limits) {
  for (const auto& limit : limits)
    if (int number = raise(0, limit); number != 0) return number;
  return 0;
}

int setOwnResourceLimits(std::span<const ResourceLimit> limits) {
  for (const auto& limit : limits) {
    const rlimit64 value = {limit.soft, limit.hard};
    if (int number = change(0, limit.resource, &value, nullptr); number != 0) return number;
  }
  return 0;
}

Status changeResourceLimits(pid_t init, const std::vector<pid_t>& processes, const ResourceLimits& limits) {
  std::vector<std::pair<int, rlimit64>> undo;
  for (const auto& limit : limits) {
    const rlimit64 value = {limit.soft, limit.hard};
    rlimit64 before = {};
    int number = change(init, limit.resource, &value, &before);
    if (number == 0) {
      undo.emplace_back(limit.resource, before);
      continue;
    }
    Error error = refusal(init, limit, number);
    for (const auto& [resource, old] : undo) change(init, resource, &old, nullptr);
    return error;
  }
  for (pid_t process : processes) {
    for (const auto& limit : limits) {
      const rlimit64 value = {limit.soft, limit.hard};
      // What it has lowered by itself a host without CAP_SYS_RESOURCE can't raise again: it keeps that.
      change(process, limit.resource, &value, nullptr);
    }
  }
  return {};
}

}  // namespace drover
