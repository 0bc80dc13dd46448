// Files of a container from outside (the file… methods of messages.ts): look, list, read, write, make. Owners are those that the
// container sees. Operation queue only: so a root is never mounted here while a start mounts it too.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine.h"
#include "error.h"
#include "file_request.h"

namespace drover {

Result<nlohmann::json> serveFileRequest(const Container& container, const FileRequest& request);

}  // namespace drover
