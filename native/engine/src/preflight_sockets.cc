// Sockets as preflight sees them: a copy of each descriptor is asked. The kernel's tables (/proc/PID/net/tcp and its like) would tell the same,
// but reading one walks the buckets of all connections of the machine: milliseconds of processor time for each look, however idle the
// container is. See pidfd_getfd(2), socket(7), sock_diag(7).
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preflight.h"

namespace drover {

namespace {

constexpr int udpLite = 136;

int optionOf(int socket, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/** A listener's acknowledged connections that nobody has accepted; the kernel says so in place of segments under way. */
bool hasWaitingConnections(int socket) {
  if (optionOf(socket, SO_ACCEPTCONN) != 1) return false;
  tcp_info info{};
  socklen_t length = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_unacked > 0;
}

bool hasUnreadData(int socket) {
  uint32_t memory[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof memory;
  return getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0 && memory[SK_MEMINFO_RMEM_ALLOC] > 0;
}

}  // namespace

SocketAnswer askSocket(int pidfd, int descriptor) {
  SocketAnswer answer;
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, descriptor, 0)));
  if (!copy.valid()) return answer;
  const int family = optionOf(copy.get(), SO_DOMAIN), type = optionOf(copy.get(), SO_TYPE), protocol = optionOf(copy.get(), SO_PROTOCOL);
  if (family < 0 || family == AF_UNIX || family == AF_PACKET) return answer;
  if (family == AF_NETLINK) {
    answer.unreadNetlink = hasUnreadData(copy.get());
  } else if (family != AF_INET && family != AF_INET6) {
    answer.refused = "a socket of address family " + std::to_string(family);
  } else if (protocol == IPPROTO_TCP) {
    answer.waitingConnections = hasWaitingConnections(copy.get());
  } else if (type != SOCK_RAW && protocol != IPPROTO_UDP && protocol != udpLite) {
    answer.refused = "an internet socket of type " + std::to_string(type) + ", protocol " + std::to_string(protocol);
  }
  return answer;
}

}  // namespace drover
