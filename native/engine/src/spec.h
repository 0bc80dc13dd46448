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

#include "error.h"

namespace drover {

/** How many uids and gids each container has, from its uidBase. */
constexpr uint32_t uidRange = 65536;

struct Limits {
  int64_t cpuMilli = 0;
  int64_t memoryBytes = 0;
  int64_t diskBytes = 0;
  int64_t pids = 0;
};

struct Identity {
  int64_t serial = 0;
  uint32_t uidBase = 0;
  std::string mac;
  /** Address with prefix length, e.g. 10.77.1.5/16. */
  std::string ipv4;
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
Result<Spec> parseSpec(const nlohmann::json& value);
nlohmann::json specToJson(const Spec& spec);
Result<Config> loadConfig(const std::string& path);

}  // namespace drover
