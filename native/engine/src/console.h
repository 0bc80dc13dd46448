// The console log: a file inside the container (var/log/console.log) that its init writes. Read from the writable layer by a
// path resolution that follows nothing out of it: the container owns every name there.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "container.h"
#include "error.h"

namespace drover {

/** {dataBase64, offset, nextOffset, size}; a negative offset counts from the end. */
Result<nlohmann::json> readConsole(const Container& container, int64_t offset, int64_t limit);

}  // namespace drover
