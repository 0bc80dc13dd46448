// See exec_request.h.
#include "exec_request.h"

#include "json_io.h"
#include "spec.h"

namespace drover {

namespace {

constexpr size_t mostUserNameBytes = 256;

Result<TerminalSize> terminalSize(const Json& value) {
  DROVER_TRY_ASSIGN(columns, integerField(value, "columns", 1, 65535));
  DROVER_TRY_ASSIGN(rows, integerField(value, "rows", 1, 65535));
  return TerminalSize{static_cast<uint16_t>(columns), static_cast<uint16_t>(rows)};
}

}  // namespace

Result<ExecRequest> parseExecRequest(const Json& params) {
  ExecRequest request;
  DROVER_TRY_ASSIGN(container, stringField(params, "container"));
  DROVER_TRY_ASSIGN(command, parseArguments(params, "command"));
  DROVER_TRY_ASSIGN(environment, parseEnvironment(params));
  if (command[0].empty()) return badRequest("field `command`: its first entry is empty");
  request.container = container;
  request.command = command;
  request.environment = environment;
  if (present(params, "directory")) {
    DROVER_TRY_ASSIGN(directory, stringField(params, "directory"));
    request.directory = directory;
  }
  if (present(params, "user")) {
    DROVER_TRY_ASSIGN(user, objectField(params, "user"));
    if (present(user, "name")) {
      DROVER_TRY_ASSIGN(name, stringField(user, "name", mostUserNameBytes));
      request.userName = name;
    } else {
      DROVER_TRY_ASSIGN(uid, integerField(user, "uid", 0, uidRange - 1));
      DROVER_TRY_ASSIGN(gid, integerField(user, "gid", 0, uidRange - 1));
      request.uid = static_cast<uid_t>(uid);
      request.gid = static_cast<gid_t>(gid);
    }
  }
  if (present(params, "terminal")) {
    DROVER_TRY_ASSIGN(terminal, objectField(params, "terminal"));
    DROVER_TRY_ASSIGN(size, terminalSize(terminal));
    request.terminal = size;
  }
  return request;
}

Result<TerminalSize> parseTerminalSize(std::string_view payload) { return terminalSize(parseJson(payload)); }

Result<int> parseSignal(std::string_view payload) {
  DROVER_TRY_ASSIGN(number, integerField(parseJson(payload), "signal", 1, 64));
  return static_cast<int>(number);
}

}  // namespace drover
