// Checks specs and the configuration. See spec.h.
#include "spec.h"

#include <arpa/inet.h>

#include <charconv>

#include "file_io.h"
#include "json_io.h"

namespace drover {

namespace {

constexpr size_t mostArguments = 256;
constexpr size_t mostVariables = 256;

/** Six pairs of hex digits; sscanf would take signs and blanks, too. */
bool isMac(const std::string& text) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (i % 3 == 2 ? text[i] != ':' : !isxdigit(static_cast<unsigned char>(text[i]))) return false;
  const bool multicast = strtol(text.substr(0, 2).c_str(), nullptr, 16) & 1;
  return !multicast;
}

bool isAddress(const std::string& text) {
  in_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1;
}

/** Digits alone, and no more than `most`. */
bool isPrefixLength(std::string_view text, unsigned most) {
  unsigned length = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error == std::errc() && end == text.data() + text.size() && length <= most;
}

bool isAddressWithPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  return slash != std::string::npos && isAddress(text.substr(0, slash)) && isPrefixLength(text.substr(slash + 1), 32);
}

bool isAddress6WithPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  in6_addr address;
  return slash != std::string::npos && inet_pton(AF_INET6, text.substr(0, slash).c_str(), &address) == 1 && isPrefixLength(text.substr(slash + 1), 128);
}

bool isHexId(const std::string& text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<Identity> parseIdentity(const Json& value) {
  Identity identity;
  DROVER_TRY_ASSIGN(serial, integerField(value, "serial", 1, 99'999'999'999));
  DROVER_TRY_ASSIGN(uidBase, integerField(value, "uidBase", uidRange, INT32_MAX - static_cast<int64_t>(uidRange)));
  DROVER_TRY_ASSIGN(mac, stringField(value, "mac"));
  DROVER_TRY_ASSIGN(ipv4, stringField(value, "ipv4"));
  DROVER_TRY_ASSIGN(machineId, stringField(value, "machineId"));
  if (!isMac(mac)) return badRequest("field `mac`: `" + mac + "` is not a unicast MAC address like 02:00:00:00:00:01");
  if (!isAddressWithPrefix(ipv4)) return badRequest("field `ipv4`: `" + ipv4 + "` is not an address with prefix like 10.77.1.5/16");
  if (!isHexId(machineId)) return badRequest("field `machineId`: `" + machineId + "` is not 32 lower-case hex digits");
  if (present(value, "gateway")) {
    DROVER_TRY_ASSIGN(gateway, stringField(value, "gateway"));
    if (!isAddress(gateway)) return badRequest("field `gateway`: `" + gateway + "` is not an IPv4 address");
    identity.gateway = gateway;
  }
  if (present(value, "ipv6")) {
    DROVER_TRY_ASSIGN(ipv6, stringField(value, "ipv6"));
    if (!isAddress6WithPrefix(ipv6)) return badRequest("field `ipv6`: `" + ipv6 + "` is not an address with prefix like fd00:64::1/64");
    identity.ipv6 = ipv6;
  }
  identity.serial = serial;
  identity.uidBase = static_cast<uint32_t>(uidBase);
  identity.mac = mac;
  identity.ipv4 = ipv4;
  identity.machineId = machineId;
  return identity;
}

/** Digits, commas and ranges: 0-2,5. The kernel has the last word. */
bool isCpuList(const std::string& text) {
  return text.size() <= 256 && text.find_first_not_of("0123456789,-") == std::string::npos && (text.empty() || isdigit(static_cast<unsigned char>(text.front())));
}

constexpr int64_t mostBytes = INT64_MAX / 2;

struct LimitField {
  const char* name;
  int64_t Limits::* member;
  int64_t least, most;
};
constexpr LimitField firstLimits[] = {
    {"cpuMilli", &Limits::cpuMilli, 0, 1'000'000'000},
    {"memoryBytes", &Limits::memoryBytes, 0, mostBytes},
    {"diskBytes", &Limits::diskBytes, 0, mostBytes},
    {"pids", &Limits::pids, 0, 4'194'304},
};
/** Records of older engines lack them. */
constexpr LimitField laterLimits[] = {
    {"cpuWeight", &Limits::cpuWeight, 0, 10'000},
    {"swapBytes", &Limits::swapBytes, -1, mostBytes},
    {"ioWeight", &Limits::ioWeight, 0, 10'000},
    {"ioReadBytes", &Limits::ioReadBytes, 0, mostBytes},
    {"ioWriteBytes", &Limits::ioWriteBytes, 0, mostBytes},
    {"ioReadOperations", &Limits::ioReadOperations, 0, UINT32_MAX},
    {"ioWriteOperations", &Limits::ioWriteOperations, 0, UINT32_MAX},
    {"networkBits", &Limits::networkBits, 0, mostBytes},
    {"networkIngressBits", &Limits::networkIngressBits, 0, mostBytes},
    {"networkEgressBits", &Limits::networkEgressBits, 0, mostBytes},
    {"networkMtu", &Limits::networkMtu, 0, 65'535},
    {"networkQueue", &Limits::networkQueue, 0, 1'000'000},
    {"hugePages64KiB", &Limits::hugePages64KiB, -1, mostBytes},
    {"hugePages1MiB", &Limits::hugePages1MiB, -1, mostBytes},
    {"hugePages2MiB", &Limits::hugePages2MiB, -1, mostBytes},
    {"hugePages1GiB", &Limits::hugePages1GiB, -1, mostBytes},
};

}  // namespace

bool isName(const std::string& text) {
  return !text.empty() && text.size() <= 63 && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos &&
         text.front() != '-' && text.back() != '-';
}

Result<Limits> parseLimits(const Json& value) {
  Limits limits;
  for (const auto& field : firstLimits) {
    DROVER_TRY_ASSIGN(number, integerField(value, field.name, field.least, field.most));
    limits.*field.member = number;
  }
  for (const auto& field : laterLimits) {
    if (!present(value, field.name)) continue;
    DROVER_TRY_ASSIGN(number, integerField(value, field.name, field.least, field.most));
    limits.*field.member = number;
  }
  if (present(value, "cpus")) {
    DROVER_TRY_ASSIGN(cpus, stringField(value, "cpus"));
    if (!isCpuList(cpus)) return badRequest("field `cpus`: `" + cpus.substr(0, 64) + "` is not a list of CPUs like 0-2,5");
    limits.cpus = cpus;
  }
  if (present(value, "memoryPolicy")) {
    DROVER_TRY_ASSIGN(policy, stringField(value, "memoryPolicy", 64));
    if (policy != "kill" && policy != "freeze") return badRequest("field `memoryPolicy`: `" + policy + "` is neither kill nor freeze");
    limits.memoryFreeze = policy == "freeze";
  }
  if (present(value, "leased")) {
    DROVER_TRY_ASSIGN(leased, booleanField(value, "leased"));
    limits.leased = leased;
  }
  if (present(value, "networkIsolated")) {
    DROVER_TRY_ASSIGN(isolated, booleanField(value, "networkIsolated"));
    limits.networkIsolated = isolated;
  }
  return limits;
}

Json limitsToJson(const Limits& limits) {
  Json value = {{"cpus", limits.cpus},
                {"memoryPolicy", limits.memoryFreeze ? "freeze" : "kill"},
                {"leased", limits.leased},
                {"networkIsolated", limits.networkIsolated}};
  for (const auto& field : firstLimits) value[field.name] = limits.*field.member;
  for (const auto& field : laterLimits) value[field.name] = limits.*field.member;
  return value;
}

bool isContainerId(const std::string& text) {
  return !text.empty() && text.size() <= 32 && text.front() != '-' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

Result<std::vector<std::string>> parseArguments(const Json& value, const char* name) {
  auto found = value.is_object() ? value.find(name) : value.end();
  if (!value.is_object() || found == value.end() || !found->is_array() || found->empty())
    return badRequest(std::string("field `") + name + "`: must be a list of at least one string");
  if (found->size() > mostArguments)
    return badRequest(std::string("field `") + name + "`: " + std::to_string(found->size()) + " entries, the limit is " +
                      std::to_string(mostArguments));
  std::vector<std::string> arguments;
  for (const auto& entry : *found) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().find('\0') != std::string::npos)
      return badRequest(std::string("field `") + name + "`: each entry must be a string without zero bytes");
    arguments.push_back(entry.get<std::string>());
  }
  return arguments;
}

Result<std::map<std::string, std::string>> parseEnvironment(const Json& value) {
  DROVER_TRY_ASSIGN(object, objectField(value, "environment"));
  if (object.size() > mostVariables)
    return badRequest("field `environment`: " + std::to_string(object.size()) + " variables, the limit is " + std::to_string(mostVariables));
  std::map<std::string, std::string> environment;
  for (const auto& [key, entry] : object.items()) {
    if (!entry.is_string() || key.empty() || key.find('=') != std::string::npos || key.find('\0') != std::string::npos ||
        entry.get_ref<const std::string&>().find('\0') != std::string::npos)
      return badRequest("field `environment`: names without `=` and string values, no zero bytes");
    environment[key] = entry.get<std::string>();
  }
  return environment;
}

Result<Spec> parseSpec(const Json& value) {
  Spec spec;
  DROVER_TRY_ASSIGN(container, stringField(value, "container"));
  if (!isContainerId(container)) return badRequest("field `container`: `" + container.substr(0, 64) + "` is not 1 to 32 of [a-z0-9-]");
  DROVER_TRY_ASSIGN(name, stringField(value, "name"));
  if (!isName(name)) return badRequest("field `name`: `" + name.substr(0, 64) + "` is not a DNS label");
  DROVER_TRY_ASSIGN(epoch, integerField(value, "epoch", 0, INT64_MAX / 2));
  DROVER_TRY_ASSIGN(rootfs, stringField(value, "rootfs"));
  if (rootfs.empty() || rootfs.front() != '/') return badRequest("field `rootfs`: `" + rootfs + "` is not an absolute path");
  DROVER_TRY_ASSIGN(init, parseArguments(value, "init"));
  if (init[0].empty() || init[0].front() != '/') return badRequest("field `init`: `" + init[0] + "` is not an absolute path");
  DROVER_TRY_ASSIGN(environment, parseEnvironment(value));
  DROVER_TRY_ASSIGN(limitsJson, objectField(value, "limits"));
  DROVER_TRY_ASSIGN(limits, parseLimits(limitsJson));
  DROVER_TRY_ASSIGN(identityJson, objectField(value, "identity"));
  DROVER_TRY_ASSIGN(identity, parseIdentity(identityJson));
  if (present(value, "devices")) {
    DROVER_TRY_ASSIGN(devicesJson, objectField(value, "devices"));
    DROVER_TRY_ASSIGN(devices, parseDevices(devicesJson));
    spec.devices = devices;
  }
  if (present(value, "security")) {
    DROVER_TRY_ASSIGN(securityJson, objectField(value, "security"));
    DROVER_TRY_ASSIGN(security, parseSecurity(securityJson));
    spec.security = security;
  }
  if (present(value, "sysctls")) {
    DROVER_TRY_ASSIGN(sysctls, parseSysctls(value["sysctls"]));
    spec.sysctls = sysctls;
  }
  if (present(value, "rlimits")) {
    DROVER_TRY_ASSIGN(rlimits, parseResourceLimits(value["rlimits"]));
    spec.rlimits = rlimits;
  }
  spec.container = container;
  spec.name = name;
  spec.epoch = epoch;
  spec.rootfs = rootfs;
  spec.init = init;
  spec.environment = environment;
  spec.limits = limits;
  spec.identity = identity;
  return spec;
}

Json specToJson(const Spec& spec) {
  return {
      {"container", spec.container},
      {"name", spec.name},
      {"epoch", spec.epoch},
      {"rootfs", spec.rootfs},
      {"init", spec.init},
      {"environment", spec.environment.empty() ? Json::object() : Json(spec.environment)},
      {"limits", limitsToJson(spec.limits)},
      {"devices", devicesToJson(spec.devices)},
      {"security", securityToJson(spec.security)},
      {"sysctls", sysctlsToJson(spec.sysctls)},
      {"rlimits", resourceLimitsToJson(spec.rlimits)},
      {"identity",
       {{"serial", spec.identity.serial},
        {"uidBase", spec.identity.uidBase},
        {"mac", spec.identity.mac},
        {"ipv4", spec.identity.ipv4},
        {"ipv6", spec.identity.ipv6 ? Json(*spec.identity.ipv6) : Json(nullptr)},
        {"gateway", spec.identity.gateway ? Json(*spec.identity.gateway) : Json(nullptr)},
        {"machineId", spec.identity.machineId}}},
  };
}

Result<Config> loadConfig(const std::string& path) {
  DROVER_TRY_ASSIGN(text, readFile(path));
  auto config = parseConfig(text);
  if (!config.ok()) return Error{config.error().code, "configuration " + path + ": " + config.error().message};
  return config;
}

Result<Config> parseConfig(std::string_view text) {
  Json value = parseJson(text);
  if (!value.is_object()) return badRequest("not a JSON object");
  Config config;
  DROVER_TRY_ASSIGN(socket, stringField(value, "socket", 107));
  DROVER_TRY_ASSIGN(stateDirectory, stringField(value, "stateDirectory"));
  DROVER_TRY_ASSIGN(cgroup, stringField(value, "cgroup"));
  DROVER_TRY_ASSIGN(bridge, stringField(value, "bridge", 15));
  DROVER_TRY_ASSIGN(criuReason, stringField(value, "criuReason"));
  if (present(value, "criu")) {
    DROVER_TRY_ASSIGN(criu, stringField(value, "criu"));
    config.criu = criu;
  }
  if (stateDirectory.empty() || stateDirectory.front() != '/') return badRequest("field `stateDirectory` must be an absolute path");
  if (cgroup.size() < 2 || cgroup.front() != '/' || cgroup.back() == '/' || cgroup.find("..") != std::string::npos)
    return badRequest("field `cgroup` must be a path like /drover");
  config.socket = socket;
  config.stateDirectory = stateDirectory;
  config.cgroup = cgroup;
  config.bridge = bridge;
  config.criuReason = criuReason;
  return config;
}

}  // namespace drover
