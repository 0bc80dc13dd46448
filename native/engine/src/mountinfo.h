// The lines of /proc/PID/mountinfo (proc(5)). No effects; fuzzed as `mountinfo`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

struct MountLine {
  uint64_t id = 0;
  /** The directory of the file system that is mounted there. */
  std::string root;
  std::string path;
  std::string type;
  std::string superOptions;
};

/** The first `most` mounts; a line that is cut off is none. */
std::vector<MountLine> parseMountinfo(std::string_view text, size_t most);
/** A path as mountinfo writes it: blank, tab, newline and backslash are octal there (`\040`). */
std::string unescapeMountinfo(std::string_view text);

}  // namespace drover
