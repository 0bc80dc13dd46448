// From a frame to a checked call, as messages.ts of packages/engine has it. No effects: what takes a call (methods) looks at no
// JSON any more, and a fuzzer can go through all of this.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "error.h"
#include "exec_request.h"
#include "file_request.h"
#include "frame_decoder.h"
#include "spec.h"
#include "tree_hash.h"

namespace drover {

struct Request {
  std::string method;
  nlohmann::json params;
};

/** `id` is set as soon as it is known: a refusal names it, too. */
Result<Request> parseRequest(FrameType type, std::string_view payload, nlohmann::json& id);

/** The parameters of a method; those that it does not have stay as they are here. */
struct Call {
  std::string method;
  std::string container;
  int64_t epoch = 0;
  int64_t protocolVersion = 0;
  std::string directory;
  TreeQuestion tree;
  uint32_t uidBase = 0;
  int64_t timeoutMs = 0;
  int signal = 0;
  int64_t offset = 0;
  int64_t limit = 0;
  bool fileSystems = false;
  std::optional<int64_t> startedAtMs;
  int64_t starts = 0;
  bool frozen = false;
  int64_t memoryRoomBytes = 0;
  uint32_t part = 0;
  std::optional<Spec> spec;
  std::optional<Limits> limits;
  std::optional<std::vector<Device>> devices;
  std::optional<Security> security;
  std::optional<Sysctls> sysctls;
  std::optional<ResourceLimits> rlimits;
  std::optional<std::string> name;
  /** Epochs by container. */
  std::map<std::string, int64_t> leases;
  int64_t untilMs = 0;
  std::optional<FileRequest> file;
  std::optional<ExecRequest> exec;
};

/** Refuses methods and fields that it does not know: what a client asks for must not be left out in silence. */
Result<Call> parseCall(const Request& request);

}  // namespace drover
