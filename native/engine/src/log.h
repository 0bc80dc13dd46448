// One line of JSON per event on stderr; what collects it is up to who starts the engine. Never a secret.
#pragma once

#include <string>

namespace drover {

/** level: info, warn or error. */
void logLine(const char* level, const std::string& message);

}  // namespace drover
