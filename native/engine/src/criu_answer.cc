// See criu_answer.h.
#include "criu_answer.h"

#include <cstring>
#include <memory>

#include "criu_rpc.pb-c.h"

namespace drover {

namespace {

/** Larger ones are no version; this keeps the sum in range. */
constexpr int mostVersionPart = 9999;

struct ResponseDeleter {
  void operator()(CriuRpcResponse* response) const { criu_rpc_response__free_unpacked(response, nullptr); }
};

/** As a number: what came may be no value of the enumeration. */
int typeOf(const CriuRpcResponse& response) {
  int type;
  static_assert(sizeof type == sizeof response.type);
  memcpy(&type, &response.type, sizeof type);
  return type;
}

int versionNumber(const CriuRpcVersion& version) {
  const int sublevel = version.has_sublevel ? version.sublevel : 0;
  for (int part : {version.major, version.minor, sublevel})
    if (part < 0 || part > mostVersionPart) return 0;
  return version.major * 10000 + version.minor * 100 + sublevel;
}

}  // namespace

std::optional<CriuMessage> parseCriuMessage(const uint8_t* bytes, size_t size) {
  std::unique_ptr<CriuRpcResponse, ResponseDeleter> response(criu_rpc_response__unpack(nullptr, size, bytes));
  if (!response) return {};
  CriuMessage message;
  if (typeOf(*response) == CRIU_RPC_TYPE__NOTIFY && response->notification) {
    const auto& notification = *response->notification;
    message.notification = true;
    if (notification.script) message.script = notification.script;
    if (notification.has_pid) message.pid = notification.pid;
    return message;
  }
  message.success = response->success;
  if (response->restore) message.restoredPid = response->restore->pid;
  if (response->version) message.version = versionNumber(*response->version);
  if (message.success) return message;
  message.trouble = response->error_message && *response->error_message ? response->error_message : "criu reports failure";
  if (response->has_error_number && response->error_number != 0) message.trouble += std::string(" (") + strerror(response->error_number) + ")";
  return message;
}

std::string errorsInCriuLog(std::string_view log, size_t most) {
  std::string kept;
  for (size_t start = 0; start < log.size();) {
    const size_t end = std::min(log.find('\n', start), log.size());
    const std::string_view line = log.substr(start, end - start);
    start = end + 1;
    // Without CAP_SYS_RESOURCE CRIU always says this; it does no harm.
    if (line.find("Error") == std::string_view::npos || line.find("RLIMIT_NOFILE") != std::string_view::npos) continue;
    if (!kept.empty()) kept += "; ";
    kept += line;
  }
  // The first error is the cause, the last ones are its consequences.
  if (kept.size() > most) kept.resize(most);
  return kept;
}

}  // namespace drover
