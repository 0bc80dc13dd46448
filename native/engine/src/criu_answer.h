// What CRIU says, from its bytes to plain values: messages of its RPC (criu_rpc.proto) and its error log. CRIU has worked on a
// container's memory by then, so neither is trusted. No effects; fuzzed as `criu`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drover {

struct CriuMessage {
  /** A notification, to be answered: its script and the pid of the tree's root, else 0. */
  bool notification = false;
  std::string script;
  pid_t pid = 0;
  /** The final answer. */
  bool success = false;
  pid_t restoredPid = 0;
  /** major * 10000 + minor * 100 + sublevel; 0: not said. */
  int version = 0;
  /** Why not; empty when it is a success. */
  std::string trouble;
};

/** Empty when it is not CRIU's protocol. */
std::optional<CriuMessage> parseCriuMessage(const uint8_t* bytes, size_t size);
/** The errors of a log, harmless ones left out, at most `most` bytes. */
std::string errorsInCriuLog(std::string_view log, size_t most);

}  // namespace drover
