// The veth pair of a container. See netlink.h.
#include "netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/veth.h>
#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>

#include "ipv6.h"
#include "netlink_message.h"
#include "unique_fd.h"

namespace drover {

namespace {

struct Mac {
  uint8_t bytes[6];
};

Mac parseMac(const std::string& text) {
  Mac mac = {};
  sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac.bytes, mac.bytes + 1, mac.bytes + 2, mac.bytes + 3, mac.bytes + 4,
         mac.bytes + 5);
  return mac;
}

in_addr addressOf(const std::string& withPrefix) {
  in_addr address = {};
  inet_pton(AF_INET, withPrefix.substr(0, withPrefix.find('/')).c_str(), &address);
  return address;
}

uint8_t prefixOf(const std::string& withPrefix) {
  size_t slash = withPrefix.find('/');
  return slash == std::string::npos ? 32 : static_cast<uint8_t>(atoi(withPrefix.c_str() + slash + 1));
}

ifinfomsg linkHeader(int index, unsigned flags) {
  ifinfomsg link = {};
  link.ifi_family = AF_UNSPEC;
  link.ifi_index = index;
  link.ifi_flags = flags;
  link.ifi_change = flags;
  return link;
}

/** Index of an interface, asked through a socket of its namespace; 0 when there is none. */
int interfaceIndex(int networkNamespace, const char* name) {
  auto opened = socketInside(networkNamespace, AF_INET, SOCK_DGRAM, 0);
  if (!opened.ok()) return 0;
  ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  return ioctl(opened.value().get(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

Status setMaster(const std::string& name, uint32_t master) {
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(linkHeader(0, IFF_UP));
  message.attribute(IFLA_IFNAME, name);
  message.attribute(IFLA_MASTER, master);
  if (int result = netlink.request(message); result != 0)
    return errnoError((master ? "put " : "take ") + name + (master ? " on its bridge" : " off its bridge"), result);
  return {};
}

Status upLink(NetlinkSocket& netlink, int index, const char* name) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(linkHeader(index, IFF_UP));
  message.attribute(IFLA_IFNAME, std::string(name));
  if (int result = netlink.request(message); result != 0) return errnoError(std::string("bring up ") + name, result);
  return {};
}

/** Which IPv6 addresses it gives itself when it comes up: `IN6_ADDR_GEN_MODE_…`. */
Status generateAddresses(NetlinkSocket& netlink, const char* name, uint8_t mode) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, std::string(name));
  size_t families = message.open(IFLA_AF_SPEC);
  size_t internet = message.open(AF_INET6);
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
  message.close(internet);
  message.close(families);
  int result = netlink.request(message);
  // EAFNOSUPPORT, EOPNOTSUPP: a kernel without IPv6, or where it is switched off.
  if (result != 0 && result != EAFNOSUPPORT && result != EOPNOTSUPP && result != EINVAL) return errnoError(std::string("set the addresses of ") + name, result);
  return {};
}

/**
 * No IPv6 address by itself, not even a link-local one, for who has none else: what comes with it (group reports, duplicate
 * detection, router solicitations) would go to every container of the bridge, at every start.
 */
Status leaveUnnumbered(NetlinkSocket& netlink, const char* name) { return generateAddresses(netlink, name, IN6_ADDR_GEN_MODE_NONE); }

/**
 * A veth uses one queue in each direction whatever it has. Unless told so, the kernel makes one per processor, and then waits, with all
 * network configuration of the host locked, for a grace period at each end to leave the others unused (veth_init_queues).
 */
void oneQueue(NetlinkMessage& message) {
  message.attribute(IFLA_NUM_TX_QUEUES, uint32_t{1});
  message.attribute(IFLA_NUM_RX_QUEUES, uint32_t{1});
}

Status addAddress(NetlinkSocket& netlink, int index, const std::string& ipv4) {
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg header = {};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = prefixOf(ipv4);
  header.ifa_index = static_cast<uint32_t>(index);
  message.header(header);
  in_addr address = addressOf(ipv4);
  in_addr broadcast = {address.s_addr | (header.ifa_prefixlen >= 32 ? 0 : htonl(0xffffffffu >> header.ifa_prefixlen))};
  message.attribute(IFA_LOCAL, &address, sizeof address);
  message.attribute(IFA_ADDRESS, &address, sizeof address);
  if (header.ifa_prefixlen < 31) message.attribute(IFA_BROADCAST, &broadcast, sizeof broadcast);
  if (int result = netlink.request(message); result != 0) return errnoError("add address " + ipv4, result);
  return {};
}

Status addDefaultRoute(NetlinkSocket& netlink, int index, const std::string& gateway) {
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg header = {};
  header.rtm_family = AF_INET;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_BOOT;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  message.header(header);
  in_addr address = addressOf(gateway);
  message.attribute(RTA_GATEWAY, &address, sizeof address);
  message.attribute(RTA_OIF, static_cast<uint32_t>(index));
  if (int result = netlink.request(message); result != 0) return errnoError("add default route via " + gateway, result);
  return {};
}

}  // namespace

std::string vethName(const Identity& identity) { return "dv" + std::to_string(identity.serial); }

bool linkExists(const std::string& name) { return interfaceIndex(-1, name.c_str()) != 0; }

namespace {
void sizes(NetlinkMessage& message, const Nic& nic) {
  oneQueue(message);
  if (nic.mtu > 0) message.attribute(IFLA_MTU, nic.mtu);
  if (nic.queueLength > 0) message.attribute(IFLA_TXQLEN, nic.queueLength);
}
}  // namespace

Status createLink(int networkNamespace, const Nic& nic) {
  DROVER_TRY_ASSIGN(host, NetlinkSocket::open(-1));
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, nic.hostName);
  sizes(message, nic);
  size_t linkInfo = message.open(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("veth"));
  size_t data = message.open(IFLA_INFO_DATA);
  size_t peer = message.open(VETH_INFO_PEER);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, nic.name);
  Mac mac = parseMac(nic.mac);
  message.attribute(IFLA_ADDRESS, &mac, sizeof mac);
  sizes(message, nic);
  message.attribute(IFLA_NET_NS_FD, static_cast<uint32_t>(networkNamespace));
  message.close(peer);
  message.close(data);
  message.close(linkInfo);
  int result = host.request(message);
  if (result == EEXIST) {
    // Of an earlier life of this container, whose namespace the kernel has not taken down yet.
    DROVER_TRY(destroyLink(nic.hostName));
    result = host.request(message);
  }
  if (result != 0) return errnoError("make veth " + nic.hostName, result);
  DROVER_TRY(leaveUnnumbered(host, nic.hostName.c_str()));
  DROVER_TRY(upLink(host, 0, nic.hostName.c_str()));
  DROVER_TRY_ASSIGN(inside, NetlinkSocket::open(networkNamespace));
  if (nic.unnumbered6 || nic.uniqueMac) DROVER_TRY(leaveUnnumbered(inside, nic.name.c_str()));
  DROVER_TRY(upLink(inside, 0, nic.name.c_str()));
  int index = inside.indexOf(nic.name);
  if (index == 0) return engineError("find " + nic.name + " in the container: not there");
  if (!nic.ipv4.empty()) DROVER_TRY(addAddress(inside, index, nic.ipv4));
  if (!nic.unnumbered6 && nic.uniqueMac) {
    DROVER_TRY(addAddress6(inside, index, linkLocalOf(mac.bytes)));
    DROVER_TRY(generateAddresses(inside, nic.name.c_str(), IN6_ADDR_GEN_MODE_EUI64));
  }
  return nic.ipv6.empty() ? Status() : addAddress6(inside, index, nic.ipv6);
}

Status createVeth(int networkNamespace, const Spec& spec) {
  const Identity& identity = spec.identity;
  DROVER_TRY_ASSIGN(inside, NetlinkSocket::open(networkNamespace));
  DROVER_TRY(upLink(inside, 0, "lo"));
  Nic nic = {vethName(identity), "eth0", identity.mac, identity.ipv4, !identity.ipv6};
  nic.uniqueMac = true;
  nic.mtu = static_cast<uint32_t>(spec.limits.networkMtu);
  nic.queueLength = static_cast<uint32_t>(spec.limits.networkQueue);
  DROVER_TRY(createLink(networkNamespace, nic));
  int index = inside.indexOf("eth0");
  if (identity.gateway) DROVER_TRY(addDefaultRoute(inside, index, *identity.gateway));
  if (identity.ipv6) DROVER_TRY(addAddress6(inside, index, *identity.ipv6));
  return {};
}

Status attachLink(const std::string& name, const std::string& bridge) {
  int index = interfaceIndex(-1, bridge.c_str());
  if (index == 0) return Error{"DEVICE_NOT_FOUND", "find bridge " + bridge + ": no such interface on this host"};
  return setMaster(name, static_cast<uint32_t>(index));
}

Status detachLink(const std::string& name) { return setMaster(name, 0); }

Status createPair(const std::string& one, const std::string& other) {
  DROVER_TRY_ASSIGN(host, NetlinkSocket::open(-1));
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, one);
  oneQueue(message);
  size_t linkInfo = message.open(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("veth"));
  size_t data = message.open(IFLA_INFO_DATA);
  size_t peer = message.open(VETH_INFO_PEER);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, other);
  oneQueue(message);
  message.close(peer);
  message.close(data);
  message.close(linkInfo);
  int result = host.request(message);
  return result == 0 ? Status() : Status(errnoError("make veth " + one, result));
}

Status bringUpUnnumbered(const std::string& name) {
  DROVER_TRY_ASSIGN(host, NetlinkSocket::open(-1));
  DROVER_TRY(leaveUnnumbered(host, name.c_str()));
  return upLink(host, 0, name.c_str());
}

namespace {
/** What the kernel gives a veth that is told nothing (ether_setup, DEFAULT_TX_QUEUE_LEN). */
constexpr int64_t usualMtu = 1500;
constexpr int64_t usualQueue = 1000;

Status resize(int networkNamespace, const std::string& name, const Limits& before, const Limits& limits) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, name);
  auto size = [](int64_t wanted, int64_t usual) { return static_cast<uint32_t>(wanted > 0 ? wanted : usual); };
  if (before.networkMtu != limits.networkMtu) message.attribute(IFLA_MTU, size(limits.networkMtu, usualMtu));
  if (before.networkQueue != limits.networkQueue) message.attribute(IFLA_TXQLEN, size(limits.networkQueue, usualQueue));
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(networkNamespace));
  const int result = netlink.request(message);
  return result == 0 ? Status() : Status(errnoError("change the sizes of " + name, result));
}
}  // namespace

Status resizeVeth(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits) {
  if (before.networkMtu == limits.networkMtu && before.networkQueue == limits.networkQueue) return {};
  DROVER_TRY(resize(-1, vethName(identity), before, limits));
  return resize(networkNamespace, "eth0", before, limits);
}

// Setting the MAC that it has makes the kernel forget the device's neighbours (arp_netdev_event, NETDEV_CHANGEADDR).
Status forgetNeighbours(int networkNamespace, const Identity& identity) {
  DROVER_TRY_ASSIGN(inside, NetlinkSocket::open(networkNamespace));
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, std::string("eth0"));
  Mac mac = parseMac(identity.mac);
  message.attribute(IFLA_ADDRESS, &mac, sizeof mac);
  int result = inside.request(message);
  if (result != 0) return errnoError("forget the neighbours of eth0", result);
  return {};
}

Status destroyLink(const std::string& name) {
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  NetlinkMessage message(RTM_DELLINK, 0);
  message.header(linkHeader(0, 0));
  message.attribute(IFLA_IFNAME, name);
  int result = netlink.request(message);
  if (result != 0 && result != ENODEV) return errnoError("remove veth " + name, result);
  return {};
}

Result<UniqueFd> announce(int networkNamespace, const Identity& identity) {
  struct __attribute__((packed)) ArpPacket {
    ethhdr ethernet;
    uint16_t hardware, protocol;
    uint8_t hardwareSize, protocolSize;
    uint16_t operation;
    uint8_t senderMac[6];
    uint32_t senderIp;
    uint8_t targetMac[6];
    uint32_t targetIp;
  } packet = {};
  Mac mac = parseMac(identity.mac);
  uint32_t address = addressOf(identity.ipv4).s_addr;
  memset(packet.ethernet.h_dest, 0xff, 6);
  memcpy(packet.ethernet.h_source, mac.bytes, 6);
  packet.ethernet.h_proto = htons(ETH_P_ARP);
  packet.hardware = htons(ARPHRD_ETHER);
  packet.protocol = htons(ETH_P_IP);
  packet.hardwareSize = 6;
  packet.protocolSize = 4;
  memcpy(packet.senderMac, mac.bytes, 6);
  packet.senderIp = address;
  packet.targetIp = address;

  // Protocol 0: receives nothing, only sends.
  DROVER_TRY_ASSIGN(socket, socketInside(networkNamespace, AF_PACKET, SOCK_RAW, 0));
  int index = 0;
  ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "eth0");
  if (ioctl(socket.get(), SIOCGIFINDEX, &request) != 0) return errnoError("find eth0 in the container");
  index = request.ifr_ifindex;
  sockaddr_ll destination = {};
  destination.sll_family = AF_PACKET;
  destination.sll_protocol = htons(ETH_P_ARP);
  destination.sll_ifindex = index;
  destination.sll_halen = 6;
  memset(destination.sll_addr, 0xff, 6);
  // One is enough (RFC 5227): the address keeps its MAC, so that only bridges and switches have to learn, from any frame, and who is just asking. Each
  // is work for every container on every bridge that it reaches.
  packet.operation = htons(ARPOP_REQUEST);
  if (sendto(socket.get(), &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&destination), sizeof destination) < 0)
    return errnoError("announce " + identity.ipv4);
  if (identity.ipv6) DROVER_TRY(announce6(socket.get(), index, mac.bytes, *identity.ipv6));
  return socket;
}

Result<UniqueFd> openNetworkNamespace(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  return fd;
}

}  // namespace drover
