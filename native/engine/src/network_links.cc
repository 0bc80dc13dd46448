// See network_links.h, rtnetlink(7), linux/if_link.h.
#include "network_links.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>

#include <algorithm>
#include <set>

#include "route_messages.h"

namespace drover {
namespace {

constexpr uint32_t loopbackMtu = 65536, usualMtu = 1500, usualQueue = 1000;
/** What an administrator sets; the others are states. */
constexpr unsigned settableFlags = IFF_UP | IFF_NOARP | IFF_MULTICAST | IFF_ALLMULTI | IFF_PROMISC;
/** Those of which rtnetlink tells all that makes them. */
const std::set<std::string> movableKinds = {"bridge", "dummy", "gre",  "gretap", "ifb",  "ip6gre", "ip6gretap", "ip6tnl", "ipip",
                                            "ipvlan", "macvlan", "sit", "veth",   "vlan", "vrf",    "vti",       "vti6",   "vxlan"};
/** The kernel makes one of each in every namespace, if it has that kind at all; they say nothing. */
const std::set<std::string> fallbackNames = {"erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0", "tunl0"};

// Linux 6.6, 6.3: newer than some headers.
constexpr uint16_t learnedAddresses = 48, portGroups = 41;
struct Settings {
  uint16_t kindType, dataType;
  /** What it has come to, not what was set. */
  std::set<uint16_t> states;
};
const Settings bridgeSettings = {IFLA_INFO_KIND,
                                 IFLA_INFO_DATA,
                                 {IFLA_BR_ROOT_ID, IFLA_BR_BRIDGE_ID, IFLA_BR_ROOT_PORT, IFLA_BR_ROOT_PATH_COST, IFLA_BR_TOPOLOGY_CHANGE,
                                  IFLA_BR_TOPOLOGY_CHANGE_DETECTED, IFLA_BR_HELLO_TIMER, IFLA_BR_TCN_TIMER, IFLA_BR_TOPOLOGY_CHANGE_TIMER, IFLA_BR_GC_TIMER,
                                  IFLA_BR_PAD, IFLA_BR_MCAST_QUERIER_STATE, learnedAddresses}};
const Settings portSettings = {IFLA_INFO_SLAVE_KIND,
                               IFLA_INFO_SLAVE_DATA,
                               {IFLA_BRPORT_STATE, IFLA_BRPORT_ROOT_ID, IFLA_BRPORT_BRIDGE_ID, IFLA_BRPORT_DESIGNATED_PORT, IFLA_BRPORT_DESIGNATED_COST,
                                IFLA_BRPORT_ID, IFLA_BRPORT_NO, IFLA_BRPORT_TOPOLOGY_CHANGE_ACK, IFLA_BRPORT_CONFIG_PENDING, IFLA_BRPORT_MESSAGE_AGE_TIMER,
                                IFLA_BRPORT_FORWARD_DELAY_TIMER, IFLA_BRPORT_HOLD_TIMER, IFLA_BRPORT_PAD, IFLA_BRPORT_MCAST_EHT_HOSTS_CNT,
                                IFLA_BRPORT_BACKUP_PORT, portGroups}};

struct Link {
  int index = 0, lower = 0, master = 0;
  /** The lower one is in another namespace. */
  bool lowerIsOutside = false;
  unsigned flags = 0;
  uint32_t mtu = 0, queueLength = 0, group = 0;
  std::string name, alias, kind, discipline;
  std::string_view mac, data, slaveKind, slaveData;
};

void readInfo(Link& link, std::string_view info) {
  for (const auto& each : routeAttributes(info)) {
    if (each.type == IFLA_INFO_KIND) link.kind = each.text();
    if (each.type == IFLA_INFO_DATA) link.data = each.data;
    if (each.type == IFLA_INFO_SLAVE_KIND) link.slaveKind = each.data;
    if (each.type == IFLA_INFO_SLAVE_DATA) link.slaveData = each.data;
  }
}

Link linkOf(const RouteMessage& message) {
  Link link;
  const auto header = message.header<ifinfomsg>();
  link.index = header.ifi_index;
  link.flags = header.ifi_flags;
  for (const auto& each : message.attributes<ifinfomsg>()) {
    if (each.type == IFLA_IFNAME) link.name = each.text();
    if (each.type == IFLA_IFALIAS) link.alias = each.text();
    if (each.type == IFLA_QDISC) link.discipline = each.text();
    if (each.type == IFLA_ADDRESS) link.mac = each.data;
    if (each.type == IFLA_MTU) link.mtu = each.number();
    if (each.type == IFLA_TXQLEN) link.queueLength = each.number();
    if (each.type == IFLA_GROUP) link.group = each.number();
    if (each.type == IFLA_LINK) link.lower = static_cast<int>(each.number());
    if (each.type == IFLA_LINK_NETNSID) link.lowerIsOutside = true;
    if (each.type == IFLA_MASTER) link.master = static_cast<int>(each.number());
    if (each.type == IFLA_LINKINFO) readInfo(link, each.data);
  }
  return link;
}

std::vector<Link> linksOf(std::string_view dump) {
  std::vector<Link> links;
  for (const RouteMessage& message : splitMessages(dump))
    if (message.type() == RTM_NEWLINK) links.push_back(linkOf(message));
  return links;
}

std::map<std::string, int> indicesOf(std::string_view dump) {
  std::map<std::string, int> indices;
  for (const Link& link : linksOf(dump)) indices[link.name] = link.index;
  return indices;
}

/** Made by the engine, or by the kernel for itself. */
bool isGiven(const Link& link, const Spec& spec) {
  if (link.name == "lo" || link.name == "eth0" || fallbackNames.contains(link.name)) return true;
  return std::any_of(spec.devices.begin(), spec.devices.end(), [&](const Device& device) { return device.type == Device::Type::nic && device.path == link.name; });
}

NetlinkMessage aboutLink(uint16_t flags, int index) {
  NetlinkMessage request(RTM_NEWLINK, flags);
  ifinfomsg header{};
  header.ifi_index = index;
  request.header(header);
  return request;
}

void describe(NetlinkMessage& request, const Link& link) {
  request.attribute(IFLA_IFNAME, link.name);
  if (link.mac.size() == 6) request.attribute(IFLA_ADDRESS, link.mac.data(), link.mac.size());
  if (link.mtu > 0) request.attribute(IFLA_MTU, link.mtu);
  request.attribute(IFLA_TXQLEN, link.queueLength);
}

/** 0 or an errno; ENODEV when what it stands on is not there (yet). */
int makeLink(NetlinkSocket& inside, const Link& link, const Link* peer, const LinkIndices& indices, bool indexIsFree) {
  NetlinkMessage request = aboutLink(NLM_F_CREATE | NLM_F_EXCL, indexIsFree ? link.index : 0);
  describe(request, link);
  if (link.kind != "veth" && link.lower > 0) {
    const int lower = indices.here(link.lower);
    if (lower == 0) return ENODEV;
    request.attribute(IFLA_LINK, static_cast<uint32_t>(lower));
  }
  const size_t info = request.open(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, link.kind);
  const size_t data = request.open(IFLA_INFO_DATA);
  if (peer) {
    const size_t described = request.open(VETH_INFO_PEER);
    ifinfomsg header{};
    header.ifi_index = indexIsFree ? peer->index : 0;
    request.header(header);
    describe(request, *peer);
    request.close(described);
  } else {
    if (link.kind != "bridge") copyAttributes(request, routeAttributes(link.data), {});
  }
  request.close(data);
  request.close(info);
  return inside.request(request);
}

/** 0 or an errno. */
int setLink(NetlinkSocket& inside, const Link& link, const Link& now, const LinkIndices& indices) {
  NetlinkMessage request(RTM_NEWLINK, 0);
  ifinfomsg header{};
  header.ifi_index = now.index;
  header.ifi_flags = link.flags & settableFlags;
  header.ifi_change = (link.flags ^ now.flags) & settableFlags;
  request.header(header);
  bool changes = header.ifi_change != 0;
  auto set = [&](uint16_t type, uint32_t value, uint32_t is) {
    if (value == is) return;
    request.attribute(type, value);
    changes = true;
  };
  if (link.mtu > 0) set(IFLA_MTU, link.mtu, now.mtu);
  set(IFLA_TXQLEN, link.queueLength, now.queueLength);
  set(IFLA_GROUP, link.group, now.group);
  if (link.alias != now.alias) {
    request.attribute(IFLA_IFALIAS, link.alias.data(), link.alias.size());
    changes = true;
  }
  const int master = link.master > 0 ? indices.here(link.master) : 0;
  if (master > 0 && master != now.master) {
    request.attribute(IFLA_MASTER, static_cast<uint32_t>(master));
    changes = true;
  }
  return changes ? inside.request(request) : 0;
}

/**
 * Of a bridge or of a port of one what is other than there, one by one: some kernels lack some settings, and refuse even to leave these as they are. 0 or
 * an errno.
 */
int setDifferent(NetlinkSocket& inside, const Link& now, const Settings& settings, std::string_view wanted, std::string_view is) {
  const auto are = routeAttributes(is);
  for (const auto& each : routeAttributes(wanted)) {
    auto same = std::find_if(are.begin(), are.end(), [&](const RouteAttribute& other) { return other.type == each.type; });
    if (settings.states.contains(each.type) || same == are.end() || same->data == each.data) continue;
    NetlinkMessage request = aboutLink(0, now.index);
    const size_t info = request.open(IFLA_LINKINFO);
    request.attribute(settings.kindType, std::string("bridge"));
    const size_t data = request.open(settings.dataType);
    request.attribute(each.rawType, each.data.data(), each.data.size());
    request.close(data);
    request.close(info);
    if (const int number = inside.request(request); number != 0) return number;
  }
  return 0;
}

/** In whatever order one stands on the other. */
Status makeMissing(NetlinkSocket& inside, const std::vector<Link>& links, std::string_view dump) {
  std::set<std::string> left;
  DROVER_TRY_ASSIGN(before, dumpLinks(inside));
  const auto there = indicesOf(before);
  for (const Link& link : links)
    // With its other end on the host it is a device of the container's, which a snapshot may still know.
    if (!link.kind.empty() && !link.lowerIsOutside && !there.contains(link.name) && !fallbackNames.contains(link.name)) left.insert(link.name);
  for (const Link& link : links)
    if (left.contains(link.name) && !movableKinds.contains(link.kind)) return engineError("make link " + link.name + ": not of this kind (" + link.kind + ")");
  std::string refused;
  for (bool goesOn = true; goesOn && !left.empty();) {
    goesOn = false;
    for (const Link& link : links) {
      if (!left.contains(link.name)) continue;
      const Link* peer = nullptr;
      if (link.kind == "veth") {
        auto other = std::find_if(links.begin(), links.end(), [&](const Link& each) { return each.index == link.lower; });
        if (other == links.end()) return engineError("make link " + link.name + ": its other end is somewhere else");
        peer = &*other;
      }
      DROVER_TRY_ASSIGN(indices, LinkIndices::match(inside, dump));
      DROVER_TRY_ASSIGN(now, dumpLinks(inside));
      bool isFree = true;
      for (const auto& [name, index] : indicesOf(now)) isFree = isFree && index != link.index && (!peer || index != peer->index);
      if (const int number = makeLink(inside, link, peer, indices, isFree); number != 0) {
        refused = errnoError("make link " + link.name + " (" + link.kind + ")", number).message;
        continue;
      }
      left.erase(link.name);
      if (peer) left.erase(peer->name);
      goesOn = true;
    }
  }
  return left.empty() ? Status() : Status(engineError(refused));
}

}  // namespace

Result<std::string> dumpLinks(NetlinkSocket& inside) {
  return dumpRoutes(inside, RTM_GETLINK, ifinfomsg{}, [](const RouteMessage& message) { return message.type() == RTM_NEWLINK; });
}

bool areLinksAsMade(std::string_view links, const Spec& spec) {
  const auto mtu = static_cast<uint32_t>(spec.limits.networkMtu > 0 ? spec.limits.networkMtu : usualMtu);
  const auto queue = static_cast<uint32_t>(spec.limits.networkQueue > 0 ? spec.limits.networkQueue : usualQueue);
  for (const Link& link : linksOf(links)) {
    const unsigned flags = link.flags & settableFlags;
    const bool isPlain = link.alias.empty() && link.group == 0 && link.master == 0 && link.queueLength == (link.name == "eth0" ? queue : usualQueue);
    if (link.name == "lo" && isPlain && flags == IFF_UP && link.mtu == loopbackMtu) continue;
    if (link.name == "eth0" && isPlain && flags == (IFF_UP | IFF_MULTICAST) && link.mtu == mtu) continue;
    if (fallbackNames.contains(link.name) && !(flags & IFF_UP)) continue;
    return false;
  }
  return true;
}

std::string unmovableLink(std::string_view links, const Spec& spec) {
  for (const Link& link : linksOf(links))
    if (!isGiven(link, spec) && (!movableKinds.contains(link.kind) || link.lowerIsOutside))
      return link.name + " (" + (link.kind.empty() ? "a device of the host" : link.kind) + ")";
  return "";
}

std::vector<std::string> shapedLinks(std::string_view links, const Spec& spec) {
  std::vector<std::string> shaped;
  for (const Link& link : linksOf(links)) {
    const bool isLimited = link.name == "eth0" && (spec.limits.networkBits > 0 || spec.limits.networkEgressBits > 0);
    if (!link.discipline.empty() && link.discipline != "noqueue" && link.discipline != "noop" && !isLimited) shaped.push_back(link.name + " (" + link.discipline + ")");
  }
  return shaped;
}

Status restoreLinks(NetlinkSocket& inside, std::string_view dump) {
  const std::vector<Link> links = linksOf(dump);
  DROVER_TRY(makeMissing(inside, links, dump));
  DROVER_TRY_ASSIGN(indices, LinkIndices::match(inside, dump));
  // 0 or an errno.
  auto each = [&](auto set) -> Status {
    DROVER_TRY_ASSIGN(now, dumpLinks(inside));
    Status refused;
    for (const Link& is : linksOf(now)) {
      auto wanted = std::find_if(links.begin(), links.end(), [&](const Link& link) { return link.name == is.name; });
      const int number = wanted == links.end() ? 0 : set(*wanted, is);
      if (number != 0) refused = errnoError("set up link " + is.name, number);
    }
    return refused;
  };
  DROVER_TRY(each([&](const Link& link, const Link& is) { return link.kind == "bridge" ? setDifferent(inside, is, bridgeSettings, link.data, is.data) : 0; }));
  // One comes up only when what it stands on is up.
  Status set = engineError("");
  for (size_t pass = 0; pass <= links.size() && !set.ok(); pass++) set = each([&](const Link& link, const Link& is) { return setLink(inside, link, is, indices); });
  DROVER_TRY(set);
  return each([&](const Link& link, const Link& is) {
    return link.slaveKind == is.slaveKind ? setDifferent(inside, is, portSettings, link.slaveData, is.slaveData) : 0;
  });
}

Result<LinkIndices> LinkIndices::match(NetlinkSocket& inside, std::string_view links) {
  DROVER_TRY_ASSIGN(now, dumpLinks(inside));
  const auto byName = indicesOf(now);
  LinkIndices indices;
  for (const Link& link : linksOf(links))
    if (auto found = byName.find(link.name); found != byName.end()) indices.here_[link.index] = found->second;
  return indices;
}

int LinkIndices::here(int there) const {
  auto found = here_.find(there);
  return found == here_.end() ? 0 : found->second;
}

}  // namespace drover
