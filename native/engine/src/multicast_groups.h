// Memberships of sockets in multicast groups. The kernel lists the groups of a network, and tells of a socket, asked for one of them, whether and how it is
// a member (RFC 3678).
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

struct MulticastGroup {
  std::string interface;
  int index = 0;
  sockaddr_storage address{};

  int level() const { return address.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6; }
};

/** Of the process's network, but for those that the kernel itself is in. */
std::vector<MulticastGroup> multicastGroups(pid_t process);
/** Its group_filter; none: it is no member. */
std::optional<std::string> membershipOf(int socket, const MulticastGroup& group);
/** By the interface of that name; where there is none, or the kernel won't, it stays out. */
void joinGroup(int socket, int level, const std::string& interface, std::string_view filter);

}  // namespace drover
