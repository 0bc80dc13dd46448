// Options of sockets as they are written beside CRIU's images, and which of them are carried at all. No effects.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

struct SocketOption {
  /** A descriptor of the socket, of a process as the container sees it. */
  pid_t process = 0;
  int descriptor = 0;
  /** A membership is `level` and MCAST_MSFILTER, its value a group_filter. */
  int level = 0, option = 0;
  /** Of a membership the interface. */
  std::string name;
  std::string value;
};

constexpr size_t longestSocketOption = 64;

struct SocketOptions {
  int level;
  std::vector<int> options;
};
/** In the order in which they are set. */
const std::vector<SocketOptions>& carriedSocketOptions();

std::string formatSocketOptions(const std::vector<SocketOption>& options);
/** Nothing: it is not a list of options, or has some that aren't carried. */
std::optional<std::vector<SocketOption>> parseSocketOptions(std::string_view text);

}  // namespace drover
