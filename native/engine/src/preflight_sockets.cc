// Sockets as preflight sees them: the kernel's tables tell nearly all; for the rest a copy of the descriptor is asked.
// See proc(5), pidfd_getfd(2).
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file_io.h"
#include "pidfd.h"
#include "preflight.h"

namespace drover {

namespace {

/** A host with a hundred thousand connections has a table of this size. */
constexpr size_t tableBytes = 16 << 20;

}  // namespace

SocketTable readSockets(pid_t pid) {
  SocketTable table;
  const std::string net = "/proc/" + std::to_string(pid) + "/net/";
  for (const char* name : {"tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "unix", "packet", "netlink"})
    if (auto text = readFile(net + name, tableBytes); text.ok()) table.add(name, text.value());
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
