// See network_routes.h, rtnetlink(7), linux/if_addr.h, linux/fib_rules.h, linux/neighbour.h.
#include "network_routes.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if.h>

#include <algorithm>

#include "ipv6.h"
#include "route_messages.h"

namespace drover {
namespace {

// Linux 5.18, 6.1: newer than some headers.
constexpr uint16_t addressProtocol = 11;
/** Values of it below this one: of the loopback, announced by a router, of the link alone. The kernel gives each itself. */
constexpr uint8_t firstConfigured = 4;
constexpr unsigned settableAddressFlags = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

std::string textOf(int family, std::string_view address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.size() == (family == AF_INET ? 4u : 16u)) inet_ntop(family, address.data(), text, sizeof text);
  return text;
}

/** The same address, however it is written. */
bool isAddress(int family, std::string_view address, const std::string& withPrefix) {
  char bytes[16];
  const std::string text = withPrefix.substr(0, withPrefix.find('/'));
  return inet_pton(family, text.c_str(), bytes) == 1 && address == std::string_view(bytes, family == AF_INET ? 4 : 16);
}

bool isInternet(uint8_t family) { return family == AF_INET || family == AF_INET6; }

bool isConfiguredAddress(const RouteMessage& message, const Spec& spec) {
  const auto header = message.header<ifaddrmsg>();
  if (message.type() != RTM_NEWADDR || !isInternet(header.ifa_family)) return false;
  auto address = message.attribute<ifaddrmsg>(IFA_LOCAL);
  if (!address) address = message.attribute<ifaddrmsg>(IFA_ADDRESS);
  if (!address) return false;
  const std::string text = textOf(header.ifa_family, address->data);
  if (text == "::1" || (text == "127.0.0.1" && header.ifa_prefixlen == 8)) return false;
  if (auto made = message.attribute<ifaddrmsg>(addressProtocol); made && !made->data.empty() && made->data[0] != 0 && made->data[0] < firstConfigured)
    return false;
  if (header.ifa_family == AF_INET) return !isAddress(AF_INET, address->data, spec.identity.ipv4);
  uint8_t mac[6] = {};
  sscanf(spec.identity.mac.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  return !isAddress(AF_INET6, address->data, linkLocalOf(mac)) && !(spec.identity.ipv6 && isAddress(AF_INET6, address->data, *spec.identity.ipv6));
}

bool isConfiguredRoute(const RouteMessage& message) {
  const auto header = message.header<rtmsg>();
  const bool isOfOthers = header.rtm_protocol == RTPROT_KERNEL || header.rtm_protocol == RTPROT_RA || header.rtm_protocol == RTPROT_REDIRECT;
  return message.type() == RTM_NEWROUTE && isInternet(header.rtm_family) && !isOfOthers && !(header.rtm_flags & RTM_F_CLONED);
}

bool isGivenRoute(const RouteMessage& message, const Spec& spec) {
  const auto header = message.header<rtmsg>();
  auto gateway = message.attribute<rtmsg>(RTA_GATEWAY);
  const auto attributes = message.attributes<rtmsg>();
  const bool isPlain = std::all_of(attributes.begin(), attributes.end(), [](const RouteAttribute& each) {
    return each.type == RTA_GATEWAY || each.type == RTA_OIF || each.type == RTA_TABLE;
  });
  return isPlain && header.rtm_family == AF_INET && header.rtm_dst_len == 0 && header.rtm_table == RT_TABLE_MAIN && header.rtm_protocol == RTPROT_BOOT &&
         header.rtm_type == RTN_UNICAST && gateway && spec.identity.gateway && isAddress(AF_INET, gateway->data, *spec.identity.gateway);
}

uint32_t numberOf(const RouteMessage& rule, uint16_t type) {
  auto found = rule.attribute<fib_rule_hdr>(type);
  return found ? found->number() : 0;
}

/** Everything from anywhere: local, main, and for IPv4 default, at the places where the kernel puts them. */
bool isKernelRule(const RouteMessage& rule) {
  const auto header = rule.header<fib_rule_hdr>();
  const uint32_t priority = numberOf(rule, FRA_PRIORITY), table = numberOf(rule, FRA_TABLE);
  const bool isPlaced = (priority == 0 && table == RT_TABLE_LOCAL) || (priority == 32766 && table == RT_TABLE_MAIN) ||
                        (priority == 32767 && table == RT_TABLE_DEFAULT && header.family == AF_INET);
  return isPlaced && header.action == FR_ACT_TO_TBL && header.src_len == 0 && header.dst_len == 0 && !rule.attribute<fib_rule_hdr>(FRA_IIFNAME) &&
         !rule.attribute<fib_rule_hdr>(FRA_OIFNAME) && !rule.attribute<fib_rule_hdr>(FRA_FWMARK);
}

constexpr size_t kernelRules = 5;

/** With the interfaces of each of its next hops as they are here. */
std::string withHopsHere(std::string_view hops, const LinkIndices& indices) {
  std::string text(hops);
  for (size_t at = 0; at + sizeof(rtnexthop) <= text.size();) {
    rtnexthop hop;
    memcpy(&hop, text.data() + at, sizeof hop);
    if (hop.rtnh_len < sizeof hop) break;
    hop.rtnh_ifindex = indices.here(hop.rtnh_ifindex);
    hop.rtnh_flags &= RTNH_F_ONLINK;
    memcpy(text.data() + at, &hop, sizeof hop);
    at += RTNH_ALIGN(hop.rtnh_len);
  }
  return text;
}

/** 0 or an errno. */
int addRoute(NetlinkSocket& inside, const RouteMessage& route, const LinkIndices& indices) {
  NetlinkMessage request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND);
  auto header = route.header<rtmsg>();
  header.rtm_flags &= RTNH_F_ONLINK;
  request.header(header);
  const auto attributes = route.attributes<rtmsg>();
  copyAttributes(request, attributes, {RTA_CACHEINFO, RTA_OIF, RTA_IIF, RTA_MULTIPATH, RTA_NH_ID, RTA_EXPIRES, RTA_PAD});
  for (const auto& each : attributes) {
    if (each.type == RTA_OIF) request.attribute(RTA_OIF, static_cast<uint32_t>(indices.here(static_cast<int>(each.number()))));
    if (each.type != RTA_MULTIPATH) continue;
    const std::string hops = withHopsHere(each.data, indices);
    request.attribute(each.rawType, hops.data(), hops.size());
  }
  return inside.request(request);
}

template <class T>
NetlinkMessage sameAs(uint16_t type, uint16_t flags, const RouteMessage& message, const std::set<uint16_t>& leftOut) {
  NetlinkMessage request(type, flags);
  request.header(message.header<T>());
  copyAttributes(request, message.attributes<T>(), leftOut);
  return request;
}

Result<std::string> allRules(NetlinkSocket& inside) {
  return dumpRoutes(inside, RTM_GETRULE, fib_rule_hdr{}, [](const RouteMessage& message) {
    return message.type() == RTM_NEWRULE && isInternet(message.header<fib_rule_hdr>().family);
  });
}

bool holds(const std::vector<RouteMessage>& messages, const RouteMessage& wanted) {
  auto contentOf = [](const RouteMessage& message) { return message.bytes().substr(std::min<size_t>(NLMSG_HDRLEN, message.bytes().size())); };
  return std::any_of(messages.begin(), messages.end(), [&](const RouteMessage& each) { return contentOf(each) == contentOf(wanted); });
}

}  // namespace

Result<std::string> dumpAddresses(NetlinkSocket& inside, const Spec& spec) {
  return dumpRoutes(inside, RTM_GETADDR, ifaddrmsg{}, [&](const RouteMessage& message) { return isConfiguredAddress(message, spec); });
}

Result<std::string> dumpConfiguredRoutes(NetlinkSocket& inside, const Spec& spec) {
  DROVER_TRY_ASSIGN(routes, dumpRoutes(inside, RTM_GETROUTE, rtmsg{}, isConfiguredRoute));
  const auto messages = splitMessages(routes);
  const size_t given = spec.identity.gateway ? 1 : 0;
  if (messages.size() != given || (given == 1 && !isGivenRoute(messages[0], spec))) {
    // An empty table, where the engine makes a route, is told by what is no route.
    if (routes.empty()) return std::string(NLMSG_HDRLEN, '\0');
    return routes;
  }
  return std::string();
}

Result<std::string> dumpRules(NetlinkSocket& inside) {
  DROVER_TRY_ASSIGN(rules, allRules(inside));
  const auto messages = splitMessages(rules);
  if (messages.size() == kernelRules && std::all_of(messages.begin(), messages.end(), isKernelRule)) return std::string();
  return rules;
}

Result<std::string> dumpNeighbours(NetlinkSocket& inside) {
  ndmsg proxies{};
  proxies.ndm_flags = NTF_PROXY;
  auto isConfigured = [](const RouteMessage& message) {
    const auto header = message.header<ndmsg>();
    return message.type() == RTM_NEWNEIGH && isInternet(header.ndm_family) && ((header.ndm_state & NUD_PERMANENT) || (header.ndm_flags & NTF_PROXY));
  };
  DROVER_TRY_ASSIGN(neighbours, dumpRoutes(inside, RTM_GETNEIGH, ndmsg{}, isConfigured));
  DROVER_TRY_ASSIGN(answeredFor, dumpRoutes(inside, RTM_GETNEIGH, proxies, isConfigured));
  return neighbours + answeredFor;
}

Status restoreAddresses(NetlinkSocket& inside, std::string_view addresses, const LinkIndices& indices) {
  for (const RouteMessage& message : splitMessages(addresses)) {
    if (message.type() != RTM_NEWADDR) continue;
    auto header = message.header<ifaddrmsg>();
    const auto attributes = message.attributes<ifaddrmsg>();
    auto flags = message.attribute<ifaddrmsg>(IFA_FLAGS);
    header.ifa_index = static_cast<uint32_t>(indices.here(static_cast<int>(header.ifa_index)));
    header.ifa_flags = 0;
    NetlinkMessage request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    request.header(header);
    copyAttributes(request, attributes, {IFA_FLAGS});
    // A tentative one would not carry the restored connections.
    request.attribute(IFA_FLAGS, ((flags ? flags->number() : 0) & settableAddressFlags) | (header.ifa_family == AF_INET6 ? IFA_F_NODAD : 0));
    if (const int number = inside.request(request); number != 0) {
      auto address = message.attribute<ifaddrmsg>(IFA_LOCAL);
      if (!address) address = message.attribute<ifaddrmsg>(IFA_ADDRESS);
      return errnoError("add address " + (address ? textOf(header.ifa_family, address->data) : "") + " of the container", number);
    }
  }
  return {};
}

Status restoreConfiguredRoutes(NetlinkSocket& inside, std::string_view routes, const LinkIndices& indices) {
  if (routes.empty()) return {};
  DROVER_TRY_ASSIGN(given, dumpRoutes(inside, RTM_GETROUTE, rtmsg{}, isConfiguredRoute));
  for (const RouteMessage& route : splitMessages(given)) {
    NetlinkMessage request = sameAs<rtmsg>(RTM_DELROUTE, 0, route, {RTA_CACHEINFO});
    (void)inside.request(request);
  }
  // A gateway may be reached by another of these routes, wherever that is among them.
  std::vector<RouteMessage> left = splitMessages(routes);
  std::erase_if(left, [](const RouteMessage& route) { return !isConfiguredRoute(route); });
  while (!left.empty()) {
    const size_t before = left.size();
    int refused = 0;
    std::erase_if(left, [&](const RouteMessage& route) {
      const int number = addRoute(inside, route, indices);
      if (number != 0 && number != EEXIST) refused = number;
      return number == 0 || number == EEXIST;
    });
    if (left.size() == before) {
      auto target = left[0].attribute<rtmsg>(RTA_DST);
      const std::string text = target ? textOf(left[0].header<rtmsg>().rtm_family, target->data) : "default";
      return errnoError("add the container's route to " + text, refused);
    }
  }
  return {};
}

Status restoreRules(NetlinkSocket& inside, std::string_view rules) {
  if (rules.empty()) return {};
  DROVER_TRY_ASSIGN(text, allRules(inside));
  const auto wanted = splitMessages(rules), are = splitMessages(text);
  for (const RouteMessage& rule : wanted) {
    if (rule.type() != RTM_NEWRULE || holds(are, rule)) continue;
    NetlinkMessage request = sameAs<fib_rule_hdr>(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule, {FRA_PAD});
    if (const int number = inside.request(request); number != 0 && number != EEXIST) return errnoError("add a routing rule of the container", number);
  }
  for (const RouteMessage& rule : are) {
    if (holds(wanted, rule)) continue;
    NetlinkMessage request = sameAs<fib_rule_hdr>(RTM_DELRULE, 0, rule, {FRA_PAD});
    (void)inside.request(request);
  }
  return {};
}

Status restoreNeighbours(NetlinkSocket& inside, std::string_view neighbours, const LinkIndices& indices) {
  for (const RouteMessage& message : splitMessages(neighbours)) {
    if (message.type() != RTM_NEWNEIGH) continue;
    NetlinkMessage request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    auto header = message.header<ndmsg>();
    header.ndm_ifindex = indices.here(header.ndm_ifindex);
    request.header(header);
    copyAttributes(request, message.attributes<ndmsg>(), {NDA_CACHEINFO, NDA_PROBES});
    if (const int number = inside.request(request); number != 0) return errnoError("add a permanent neighbour of the container", number);
  }
  return {};
}

}  // namespace drover
