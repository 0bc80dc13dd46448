// Log lines. See log.h.
#include "log.h"

#include <unistd.h>

#include "json_io.h"
#include "pidfd.h"

namespace drover {

void logLine(const char* level, const std::string& message) {
  std::string line = toText(Json{{"time", nowMs()}, {"level", level}, {"msg", message}}) + "\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace drover
