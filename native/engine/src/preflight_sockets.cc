// Sockets as preflight sees them: the kernel's tables tell nearly all; for the rest a copy of the descriptor is asked.
// See proc(5), pidfd_getfd(2).
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sstream>

#include "file_io.h"
#include "pidfd.h"
#include "preflight.h"

namespace drover {

namespace {

/** A host with a hundred thousand connections has a table of this size. */
constexpr size_t tableBytes = 16 << 20;
constexpr const char* listening = "0A";

/** Calls `use` with the words of each line below the heading. */
template <class Use>
void eachLine(const std::string& path, Use use) {
  auto content = readFile(path, tableBytes);
  if (!content.ok()) return;
  std::istringstream lines(content.value());
  std::string line;
  std::getline(lines, line);
  std::vector<std::string> words;
  while (std::getline(lines, line)) {
    std::istringstream split(line);
    words.clear();
    for (std::string word; split >> word;) words.push_back(word);
    use(words);
  }
}

}  // namespace

SocketTable readSockets(pid_t pid) {
  SocketTable table;
  const std::string net = "/proc/" + std::to_string(pid) + "/net/";
  auto add = [&](const std::vector<std::string>& words, size_t column) {
    if (words.size() <= column) return uint64_t{0};
    uint64_t inode = strtoull(words[column].c_str(), nullptr, 10);
    table.known.insert(inode);
    return inode;
  };
  for (const char* name : {"tcp", "tcp6"})
    eachLine(net + name, [&](const auto& words) {
      uint64_t inode = add(words, 9);
      // Of a listener this queue counts the connections that nobody has accepted.
      if (inode != 0 && words[3] == listening && words[4].size() > 9 && strtoull(words[4].c_str() + 9, nullptr, 16) > 0)
        table.waitingConnections.insert(inode);
    });
  for (const char* name : {"udp", "udp6", "udplite", "udplite6", "raw", "raw6"}) eachLine(net + name, [&](const auto& words) { add(words, 9); });
  eachLine(net + "unix", [&](const auto& words) { add(words, 6); });
  eachLine(net + "packet", [&](const auto& words) { add(words, 8); });
  eachLine(net + "netlink", [&](const auto& words) {
    uint64_t inode = add(words, 9);
    if (inode != 0 && strtoull(words[4].c_str(), nullptr, 10) > 0) table.unreadNetlink.insert(inode);
  });
  return table;
}

std::string whyNoSocket(pid_t pid, int descriptor) {
  auto pidfd = openPidfd(pid);
  if (!pidfd.ok()) return "";
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.value().get(), descriptor, 0)));
  int family = 0, type = 0, protocol = 0;
  socklen_t length = sizeof family;
  if (!copy.valid() || getsockopt(copy.get(), SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return "";
  getsockopt(copy.get(), SOL_SOCKET, SO_TYPE, &type, &length);
  getsockopt(copy.get(), SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
  if (family == AF_UNIX || family == AF_NETLINK || family == AF_PACKET) return "";
  if (family != AF_INET && family != AF_INET6) return "a socket of address family " + std::to_string(family);
  if (type == SOCK_RAW || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE) return "";
  return "an internet socket of type " + std::to_string(type) + ", protocol " + std::to_string(protocol);
}

}  // namespace drover
