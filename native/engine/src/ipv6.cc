// See ipv6.h.
#include "ipv6.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace drover {

namespace {

in6_addr addressOf(const std::string& withPrefix) {
  in6_addr address = {};
  inet_pton(AF_INET6, withPrefix.substr(0, withPrefix.find('/')).c_str(), &address);
  return address;
}

uint8_t prefixOf(const std::string& withPrefix) {
  size_t slash = withPrefix.find('/');
  return slash == std::string::npos ? 128 : static_cast<uint8_t>(atoi(withPrefix.c_str() + slash + 1));
}

struct __attribute__((packed)) Advertisement {
  ethhdr ethernet;
  ip6_hdr ip;
  nd_neighbor_advert message;
  nd_opt_hdr option;
  uint8_t linkAddress[6];
};

/** Of what follows the IPv6 header, with the pseudo header of RFC 8200, 8.1. */
uint16_t checksum(const Advertisement& packet) {
  constexpr size_t length = sizeof packet.message + sizeof packet.option + sizeof packet.linkAddress;
  uint8_t bytes[40 + length] = {};
  memcpy(bytes, &packet.ip.ip6_src, 16);
  memcpy(bytes + 16, &packet.ip.ip6_dst, 16);
  bytes[35] = length;
  bytes[39] = IPPROTO_ICMPV6;
  memcpy(bytes + 40, &packet.message, length);
  uint32_t sum = 0;
  for (size_t at = 0; at < sizeof bytes; at += 2) sum += static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~sum));
}

}  // namespace

Status addAddress6(NetlinkSocket& inside, int index, const std::string& addressWithPrefix) {
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg header = {};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = prefixOf(addressWithPrefix);
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = static_cast<uint32_t>(index);
  message.header(header);
  in6_addr address = addressOf(addressWithPrefix);
  message.attribute(IFA_LOCAL, &address, sizeof address);
  message.attribute(IFA_ADDRESS, &address, sizeof address);
  int result = inside.request(message);
  if (result == EAFNOSUPPORT || result == EOPNOTSUPP) return {};
  if (result != 0) return errnoError("add address " + addressWithPrefix, result);
  return {};
}

std::string linkLocalOf(const uint8_t (&mac)[6]) {
  char text[40];
  snprintf(text, sizeof text, "fe80::%x:%x:%x:%x/64", (mac[0] ^ 2) << 8 | mac[1], mac[2] << 8 | 0xff, 0xfe00 | mac[3], mac[4] << 8 | mac[5]);
  return text;
}

Status announce6(int packetSocket, int index, const uint8_t (&mac)[6], const std::string& addressWithPrefix) {
  static constexpr uint8_t allNodesMac[6] = {0x33, 0x33, 0, 0, 0, 1};
  Advertisement packet = {};
  memcpy(packet.ethernet.h_dest, allNodesMac, 6);
  memcpy(packet.ethernet.h_source, mac, 6);
  packet.ethernet.h_proto = htons(ETH_P_IPV6);
  packet.ip.ip6_flow = htonl(6u << 28);
  packet.ip.ip6_plen = htons(sizeof packet.message + sizeof packet.option + sizeof packet.linkAddress);
  packet.ip.ip6_nxt = IPPROTO_ICMPV6;
  packet.ip.ip6_hlim = 255;
  packet.ip.ip6_src = addressOf(addressWithPrefix);
  inet_pton(AF_INET6, "ff02::1", &packet.ip.ip6_dst);
  packet.message.nd_na_type = ND_NEIGHBOR_ADVERT;
  packet.message.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  packet.message.nd_na_target = packet.ip.ip6_src;
  packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  packet.option.nd_opt_len = 1;
  memcpy(packet.linkAddress, mac, 6);
  packet.message.nd_na_cksum = checksum(packet);

  sockaddr_ll destination = {};
  destination.sll_family = AF_PACKET;
  destination.sll_protocol = htons(ETH_P_IPV6);
  destination.sll_ifindex = index;
  destination.sll_halen = 6;
  memcpy(destination.sll_addr, allNodesMac, 6);
  if (sendto(packetSocket, &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&destination), sizeof destination) < 0)
    return errnoError("announce " + addressWithPrefix);
  return {};
}

}  // namespace drover
