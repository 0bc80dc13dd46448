// See socket_table.h.
#include "socket_table.h"

#include <charconv>
#include <vector>

#include "words.h"

namespace drover {

namespace {

constexpr std::string_view listening = "0A";
/** Columns of the tables: of internet sockets, of unix sockets, of packet sockets. */
constexpr size_t state = 3, queues = 4, internetInode = 9, unixInode = 6, packetInode = 8;

uint64_t numberOf(std::string_view text, int base) {
  uint64_t number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

}  // namespace

void SocketTable::add(std::string_view name, std::string_view text) {
  const bool isTcp = name.starts_with("tcp"), isNetlink = name == "netlink";
  const size_t column = name == "unix" ? unixInode : name == "packet" ? packetInode : internetInode;
  // Below the heading.
  const size_t heading = text.find('\n');
  if (heading == std::string_view::npos) return;
  text.remove_prefix(heading + 1);
  for (auto line : splitAt(text, '\n')) {
    const auto words = splitWords(line);
    if (words.size() <= column) continue;
    const uint64_t inode = numberOf(words[column], 10);
    known.insert(inode);
    if (inode == 0) continue;
    // Of a listener the second queue counts the connections that nobody has accepted.
    if (isTcp && words[state] == listening && numberOf(words[queues].substr(std::min(words[queues].find(':') + 1, words[queues].size())), 16) > 0)
      waitingConnections.insert(inode);
    if (isNetlink && numberOf(words[queues], 10) > 0) unreadNetlink.insert(inode);
  }
}

}  // namespace drover
