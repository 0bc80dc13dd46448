// What a client asks of exec, checked: the request, and the frames that steer its session. No effects; exec_start serves it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace drover {

struct TerminalSize {
  uint16_t columns = 80;
  uint16_t rows = 24;
};

struct ExecRequest {
  std::string container;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::optional<std::string> directory;
  uid_t uid = 0;
  gid_t gid = 0;
  /** Instead of ids: a user of the container's own /etc/passwd, with its groups and home. */
  std::optional<std::string> userName;
  std::optional<TerminalSize> terminal;
};

Result<ExecRequest> parseExecRequest(const nlohmann::json& params);
/** Payload of a resize frame. */
Result<TerminalSize> parseTerminalSize(std::string_view payload);
/** Payload of a signal frame. */
Result<int> parseSignal(std::string_view payload);

}  // namespace drover
