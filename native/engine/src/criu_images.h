// What the engine reads of CRIU's image files (criu_images.proto). No effects; fuzzed as `criu-images`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace drover {

/** Paths of the open regular files in a files.img. */
Result<std::vector<std::string>> regularFilesIn(std::string_view image);

}  // namespace drover
