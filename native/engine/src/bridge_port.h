// What the host's end of a link is on its bridge.
#pragma once

#include <string>

#include "error.h"

namespace drover {

/** The link is on a bridge: isolated it reaches ports that are not, and none that is. Leaving the bridge ends it. */
Status isolatePort(const std::string& link, bool isolated = true);
/** As isolatePort; one that is on no bridge now is left as it is. */
Status isolatePortIfAny(const std::string& link, bool isolated);

}  // namespace drover
