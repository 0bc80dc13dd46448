// The tables of sockets in /proc/PID/net (proc(5)). A process chooses the paths of its unix sockets, which are in there. No effects; fuzzed as
// `socket-table`.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

namespace drover {

/** What the sockets of a network namespace tell, by inode. */
struct SocketTable {
  std::set<uint64_t> known;
  std::set<uint64_t> unreadNetlink;
  std::set<uint64_t> waitingConnections;

  /** One of the tables by its file's name: tcp, udp6, unix, netlink … */
  void add(std::string_view name, std::string_view text);
};

}  // namespace drover
