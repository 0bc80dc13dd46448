// What the host's end of a link is on its bridge.
#pragma once

#include <string>

#include "error.h"

namespace drover {

/** The link is on a bridge: it reaches ports that are not isolated, and none that is. */
Status isolatePort(const std::string& link);

}  // namespace drover
