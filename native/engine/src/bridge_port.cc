// See bridge_port.h; the kernel's net/bridge/br_netlink.c and br_fdb.c, bridge(8).
#include "bridge_port.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <thread>

#include "file_io.h"
#include "netlink.h"
#include "netlink_message.h"

namespace drover {

namespace {

/** Of a bridge that says nothing itself. Without one it would take that of a port, and look for it at each that comes or goes. */
constexpr uint8_t unusedMac[] = {0x02, 0xd0, 0, 0, 0, 0x02};

/** IF_OPER_UP: its header and <net/if.h> exclude each other. */
constexpr uint8_t operationalStateUp = 6;
constexpr int upTries = 200;
constexpr auto upPause = std::chrono::milliseconds(1);

/** 0 or an errno. */
int setIsolation(NetlinkSocket& netlink, unsigned link, bool isolated) {
  NetlinkMessage message(RTM_SETLINK, 0);
  ifinfomsg head = {};
  head.ifi_family = AF_BRIDGE;
  head.ifi_index = static_cast<int>(link);
  message.header(head);
  const uint8_t value = isolated ? 1 : 0;
  size_t options = message.open(IFLA_PROTINFO | NLA_F_NESTED);
  message.attribute(IFLA_BRPORT_ISOLATED, &value, sizeof value);
  message.close(options);
  return netlink.request(message);
}

Status isolate(const std::string& link, bool isolated, int allowed) {
  const unsigned index = if_nametoindex(link.c_str());
  if (index == 0) return errnoError("find " + link);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  const int result = setIsolation(netlink, index, isolated);
  if (result == 0 || result == allowed) return {};
  return errnoError((isolated ? "isolate " + link + " from other ports" : "let " + link + " reach isolated ports"), result);
}

/** 0 or an errno. */
int changeKnown(uint16_t type, uint16_t flags, const std::string& link, const std::string& mac) {
  auto netlink = NetlinkSocket::open(-1);
  if (!netlink.ok()) return EIO;
  uint8_t address[6] = {};
  sscanf(mac.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", address, address + 1, address + 2, address + 3, address + 4, address + 5);
  NetlinkMessage message(type, flags);
  ndmsg head = {};
  head.ndm_family = AF_BRIDGE;
  head.ndm_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
  // Grows old like what it hears.
  head.ndm_state = NUD_REACHABLE;
  head.ndm_flags = NTF_MASTER;
  message.header(head);
  message.attribute(NDA_LLADDR, address, sizeof address);
  return netlink.value().request(message);
}

/** 0: below any, and below none. */
Result<std::vector<std::string>> linksBelow(uint32_t master) {
  NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
  message.header(ifinfomsg{});
  message.attribute(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  if (master != 0) message.attribute(IFLA_MASTER, master);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  std::vector<std::string> names;
  const int result = netlink.dump(message, [&](const nlmsghdr& head) {
    auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(&head));
    std::string name;
    bool below = master == 0;
    auto left = static_cast<unsigned>(IFLA_PAYLOAD(&head));
    for (auto* at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      if (at->rta_type == IFLA_IFNAME) name = static_cast<const char*>(RTA_DATA(at));
      // Kernels before 4.6 give all.
      if (at->rta_type == IFLA_MASTER && *static_cast<const uint32_t*>(RTA_DATA(at)) == master) below = true;
    }
    if (below && !name.empty()) names.push_back(name);
  });
  return result == 0 ? Result<std::vector<std::string>>(std::move(names)) : errnoError("list the network links", result);
}

}  // namespace

Status isolatePort(const std::string& link, bool isolated) { return isolate(link, isolated, 0); }

// The kernel has nobody to ask when the link has no master (rtnl_bridge_setlink).
Status isolatePortIfAny(const std::string& link, bool isolated) { return isolate(link, isolated, EOPNOTSUPP); }

Status createBridge(const std::string& name) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.header(ifinfomsg{});
  message.attribute(IFLA_IFNAME, name);
  message.attribute(IFLA_ADDRESS, unusedMac, sizeof unusedMac);
  size_t info = message.open(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("bridge"));
  size_t data = message.open(IFLA_INFO_DATA);
  message.attribute(IFLA_BR_STP_STATE, uint32_t{0});
  message.attribute(IFLA_BR_FORWARD_DELAY, uint32_t{0});
  const uint8_t snooping = 0;
  message.attribute(IFLA_BR_MCAST_SNOOPING, &snooping, sizeof snooping);
  message.close(data);
  message.close(info);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  if (int result = netlink.request(message); result != 0) return errnoError("make bridge " + name, result);
  return bringUpUnnumbered(name);
}

namespace {

/** An operational state of RFC 2863; nothing when the kernel gave none. */
std::optional<uint8_t> stateIn(const nlmsghdr& answer) {
  auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(&answer));
  auto left = static_cast<unsigned>(IFLA_PAYLOAD(&answer));
  for (auto* at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left))
    if (at->rta_type == IFLA_OPERSTATE) return *static_cast<const uint8_t*>(RTA_DATA(at));
  return {};
}

/**
 * A link that has come up is up for a bridge when the kernel gets round to it (linkwatch), and until then the bridge sends nothing through
 * it. Since 6.8 the question alone makes the kernel do it (rtnl_getlink).
 */
Status waitUntilUp(const std::string& link) {
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  for (int tries = 0; tries < upTries; ++tries) {
    NetlinkMessage message(RTM_GETLINK, 0);
    message.header(ifinfomsg{});
    message.attribute(IFLA_IFNAME, link);
    std::optional<uint8_t> state;
    if (int result = netlink.dump(message, [&](const nlmsghdr& answer) { state = stateIn(answer); }); result != 0)
      return errnoError("see whether " + link + " is up", result);
    if (state == operationalStateUp) return {};
    std::this_thread::sleep_for(upPause);
  }
  return engineError(link + " was not up in time");
}

}  // namespace

Status joinBridges(const std::string& upper, const std::string& upperEnd, const std::string& lower, const std::string& lowerEnd) {
  DROVER_TRY(createPair(upperEnd, lowerEnd));
  for (const auto& end : {lowerEnd, upperEnd}) DROVER_TRY(bringUpUnnumbered(end));
  for (const auto& [end, bridge] : {std::pair(lowerEnd, lower), std::pair(upperEnd, upper)}) {
    DROVER_TRY(waitUntilUp(end));
    DROVER_TRY(attachLink(end, bridge));
  }
  return {};
}

Result<std::vector<std::string>> portsOf(const std::string& bridge) {
  const unsigned index = if_nametoindex(bridge.c_str());
  return index == 0 ? Result<std::vector<std::string>>(std::vector<std::string>()) : linksBelow(index);
}

Result<std::vector<std::string>> allLinks() { return linksBelow(0); }

Status learnPort(const std::string& link, const std::string& mac) {
  int result = changeKnown(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, link, mac);
  return result == 0 ? Status() : errnoError("lead " + mac + " to " + link, result);
}

void forgetPort(const std::string& link, const std::string& mac) { (void)changeKnown(RTM_DELNEIGH, 0, link, mac); }

bool bridgesAreFiltered() {
  for (const char* of : {"iptables", "ip6tables", "arptables"}) {
    auto set = readFile(std::string("/proc/sys/net/bridge/bridge-nf-call-") + of, 16);
    if (set.ok() && set.value().starts_with("1")) return true;
  }
  return false;
}

}  // namespace drover
