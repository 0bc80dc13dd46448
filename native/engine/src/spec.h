// What the engine is told about a container (EngineSpec of packages/engine/src/messages.ts) and about itself
// (EngineConfig of packages/protocol/src/config.ts), checked: every string that becomes a path or a name is validated here.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "device.h"
#include "error.h"
#include "kernel_settings.h"
#include "security.h"

namespace drover {

/** How many uids and gids each container has, from its uidBase. */
constexpr uint32_t uidRange = 65536;

/** What a container may use at most; 0 and the empty string: no limit. All of it can be changed while it runs. */
struct Limits {
  int64_t cpuMilli = 0;
  int64_t memoryBytes = 0;
  int64_t diskBytes = 0;
  int64_t pids = 0;
  /** 1 to 10,000 as in cgroup v2, where 100 is everybody's; 0: that. */
  int64_t cpuWeight = 0;
  /** CPUs it is pinned to, as the kernel writes lists: 0-2,5. */
  std::string cpus;
  /** Swap beside the memory; −1: no limit. */
  int64_t swapBytes = -1;
  int64_t ioWeight = 0;
  /** Per second, of the device that holds the containers' disks. */
  int64_t ioReadBytes = 0;
  int64_t ioWriteBytes = 0;
  int64_t ioReadOperations = 0;
  int64_t ioWriteOperations = 0;
  /** Bits per second of eth0, each way; the others win over it, for what comes to the container and what it sends. */
  int64_t networkBits = 0;
  int64_t networkIngressBits = 0;
  int64_t networkEgressBits = 0;
  /** Of both ends of eth0; 0: the kernel's. */
  int64_t networkMtu = 0;
  int64_t networkQueue = 0;
  /** eth0 reaches no other isolated link of its bridge. */
  bool networkIsolated = false;
  /** Pages of these sizes, in bytes; −1: no limit. */
  int64_t hugePages64KiB = -1;
  int64_t hugePages1MiB = -1;
  int64_t hugePages2MiB = -1;
  int64_t hugePages1GiB = -1;
  /** What happens at the limit of memory: the kernel kills a process, or all stands still until there is more. */
  bool memoryFreeze = false;
  /** It may be started elsewhere when this host is lost, so it runs only under a lease; see lease.h. */
  bool leased = false;

  bool operator==(const Limits&) const = default;
};

struct Identity {
  int64_t serial = 0;
  uint32_t uidBase = 0;
  std::string mac;
  /** Address with prefix length, e.g. 10.77.1.5/16. */
  std::string ipv4;
  /** Address with prefix length, e.g. fd00:64::1/64; absent: IPv4 only. */
  std::optional<std::string> ipv6;
  std::optional<std::string> gateway;
  std::string machineId;
};

struct Spec {
  std::string container;
  std::string name;
  int64_t epoch = 0;
  /** Read-only root file system of the image, with unshifted owners. */
  std::string rootfs;
  std::vector<std::string> init;
  std::map<std::string, std::string> environment;
  Limits limits;
  Identity identity;
  std::vector<Device> devices;
  Security security;
  Sysctls sysctls;
  ResourceLimits rlimits;

  /** The host's number of its root, and the first of its ids. */
  uint32_t owner() const { return security.privileged ? 0 : identity.uidBase; }
};

struct Config {
  std::string socket;
  std::string stateDirectory;
  /** Cgroup, in every hierarchy, below which containers get theirs; starts with a slash. */
  std::string cgroup;
  std::string bridge;
  std::optional<std::string> criu;
  std::string criuReason;
};

/** A list of at least one string. */
Result<std::vector<std::string>> parseArguments(const nlohmann::json& value, const char* name);
/** The `environment` object. */
Result<std::map<std::string, std::string>> parseEnvironment(const nlohmann::json& value);
/** Whether the text is a container id: 1 to 32 of [a-z0-9-], not starting with a dash. */
bool isContainerId(const std::string& text);
/** Whether the text is a DNS label: it becomes the hostname and a line in /etc/hosts. */
bool isName(const std::string& text);
/** The `limits` object; what later versions added may be missing. */
Result<Limits> parseLimits(const nlohmann::json& value);
nlohmann::json limitsToJson(const Limits& limits);
Result<Spec> parseSpec(const nlohmann::json& value);
nlohmann::json specToJson(const Spec& spec);
Result<Config> parseConfig(std::string_view text);
Result<Config> loadConfig(const std::string& path);

}  // namespace drover
