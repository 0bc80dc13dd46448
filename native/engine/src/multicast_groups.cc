// See multicast_groups.h; /proc/net/igmp and igmp6.
#include "multicast_groups.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>

#include "file_io.h"
#include "words.h"

namespace drover {
namespace {

constexpr size_t listBytes = 4 << 20;
constexpr size_t mostSources = 64;
constexpr size_t headBytes = offsetof(group_filter, gf_slist);

/** `E00000FB`, as the machine has the four bytes. */
MulticastGroup group4(const std::string& interface, int index, std::string_view word) {
  MulticastGroup group{interface, index};
  auto& address = reinterpret_cast<sockaddr_in&>(group.address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = static_cast<in_addr_t>(strtoul(std::string(word).c_str(), nullptr, 16));
  return group;
}

/** All hosts: each interface is in it. */
bool isKernels(const sockaddr_in& address) { return address.sin_addr.s_addr == htonl(INADDR_ALLHOSTS_GROUP); }

/** All nodes, and the group of each own address from which neighbours learn its MAC (RFC 4291). */
bool isKernels(const in6_addr& address) {
  static const uint8_t solicited[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  const bool isAllNodes = (IN6_IS_ADDR_MC_LINKLOCAL(&address) || IN6_IS_ADDR_MC_NODELOCAL(&address)) && address.s6_addr[15] == 1 && address.s6_addr[14] == 0 &&
                          memcmp(address.s6_addr + 2, "\0\0\0\0\0\0\0\0\0\0\0", 12) == 0;
  return isAllNodes || memcmp(address.s6_addr, solicited, sizeof solicited) == 0;
}

std::vector<MulticastGroup> groups4(std::string_view list) {
  std::vector<MulticastGroup> groups;
  std::string interface;
  int index = 0;
  for (std::string_view line : splitAt(list, '\n')) {
    const auto words = splitWords(line);
    if (words.size() < 2) continue;
    // A line of the interface, and below it one of each group, further in.
    if (line[0] != '\t') {
      index = atoi(std::string(words[0]).c_str());
      interface = words[1];
    } else if (auto group = group4(interface, index, words[0]); !isKernels(reinterpret_cast<sockaddr_in&>(group.address))) {
      groups.push_back(group);
    }
  }
  return groups;
}

void addGroups6(std::string_view list, std::vector<MulticastGroup>& groups) {
  for (std::string_view line : splitAt(list, '\n')) {
    const auto words = splitWords(line);
    if (words.size() < 3 || words[2].size() != 32) continue;
    MulticastGroup group{std::string(words[1]), atoi(std::string(words[0]).c_str())};
    auto& address = reinterpret_cast<sockaddr_in6&>(group.address);
    address.sin6_family = AF_INET6;
    for (size_t at = 0; at < 16; at++) address.sin6_addr.s6_addr[at] = static_cast<uint8_t>(strtoul(std::string(words[2].substr(2 * at, 2)).c_str(), nullptr, 16));
    if (!isKernels(address.sin6_addr)) groups.push_back(group);
  }
}

}  // namespace

std::vector<MulticastGroup> multicastGroups(pid_t process) {
  const std::string directory = "/proc/" + std::to_string(process) + "/net/";
  auto list4 = readFile(directory + "igmp", listBytes), list6 = readFile(directory + "igmp6", listBytes);
  std::vector<MulticastGroup> groups;
  if (list4.ok()) groups = groups4(list4.value());
  if (list6.ok()) addGroups6(list6.value(), groups);
  return groups;
}

std::optional<std::string> membershipOf(int socket, const MulticastGroup& group) {
  std::string filter(headBytes + mostSources * sizeof(sockaddr_storage), '\0');
  auto& asked = *reinterpret_cast<group_filter*>(filter.data());
  asked.gf_interface = static_cast<uint32_t>(group.index);
  asked.gf_group = group.address;
  asked.gf_numsrc = mostSources;
  auto length = static_cast<socklen_t>(filter.size());
  if (getsockopt(socket, group.level(), MCAST_MSFILTER, filter.data(), &length) != 0) return std::nullopt;
  filter.resize(headBytes + std::min<size_t>(asked.gf_numsrc, mostSources) * sizeof(sockaddr_storage));
  return filter;
}

void joinGroup(int socket, int level, const std::string& interface, std::string_view told) {
  std::string filter(told);
  if (filter.size() < headBytes) return;
  ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface.c_str());
  if (ioctl(socket, SIOCGIFINDEX, &request) != 0) return;
  auto& wanted = *reinterpret_cast<group_filter*>(filter.data());
  wanted.gf_interface = static_cast<uint32_t>(request.ifr_ifindex);
  wanted.gf_numsrc = static_cast<uint32_t>((filter.size() - headBytes) / sizeof(sockaddr_storage));
  group_req plain = {};
  plain.gr_interface = wanted.gf_interface;
  plain.gr_group = wanted.gf_group;
  if (setsockopt(socket, level, MCAST_JOIN_GROUP, &plain, sizeof plain) != 0) return;
  const bool isPlain = wanted.gf_fmode == MCAST_EXCLUDE && wanted.gf_numsrc == 0;
  if (!isPlain) (void)setsockopt(socket, level, MCAST_MSFILTER, filter.data(), static_cast<socklen_t>(filter.size()));
}

}  // namespace drover
