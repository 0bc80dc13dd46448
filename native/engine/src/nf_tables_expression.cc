// See nf_tables_expression.h; linux/netfilter/nf_tables.h and nf_tables_compat.h for what the attributes are.
#include "nf_tables_expression.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "route_messages.h"

namespace drover {
namespace {

/** Places of the protocol: in an IPv4 header, and in an Ethernet one. */
constexpr uint32_t protocolOffset = 9, etherTypeOffset = 12;

std::string_view textOf(std::string_view attribute) { return attribute.substr(0, attribute.find('\0')); }

bool isZero(std::string_view attribute) { return attribute.find_first_not_of('\0') == std::string_view::npos; }

/** What is told of the parameters, but refused. */
std::set<uint16_t> refusedOf(std::string_view name, std::string_view parameters) {
  // No timeout is told as one of 0, and taken only by sets with timeouts; no flags are told as 0 ones.
  if (name == "dynset" && isZero(attributeIn(parameters, NFTA_DYNSET_TIMEOUT))) return {NFTA_DYNSET_TIMEOUT};
  if (name == "osf" && isZero(attributeIn(parameters, NFTA_OSF_FLAGS))) return {NFTA_OSF_FLAGS};
  if (name != "exthdr" || !attributeIn(parameters, NFTA_EXTHDR_DREG).empty()) return {};
  // Writes an option of TCP, or takes it away.
  if (!attributeIn(parameters, NFTA_EXTHDR_SREG).empty()) return {NFTA_EXTHDR_FLAGS};
  return {NFTA_EXTHDR_FLAGS, NFTA_EXTHDR_OFFSET, NFTA_EXTHDR_LEN};
}

/** False: it can stay as it is told. */
bool addChanged(NetlinkMessage& message, std::string_view name, const RouteAttribute& parameter, std::string_view all) {
  const uint32_t number = networkNumber(parameter.data);
  if (name == "quota" && parameter.type == NFTA_QUOTA_FLAGS) {
    // That it is used up follows from what is used.
    addNetworkNumber(message, parameter.rawType, number & ~uint32_t{NFT_QUOTA_F_DEPLETED});
    return true;
  }
  if (name != "dynset") return false;
  if (parameter.type == NFTA_DYNSET_FLAGS) {
    // Asked for with several expressions, and not told.
    addNetworkNumber(message, parameter.rawType, number | (attributeIn(all, NFTA_DYNSET_EXPRESSIONS).empty() ? 0 : NFT_DYNSET_F_EXPR));
  } else if (parameter.type == NFTA_DYNSET_EXPR) {
    addExpression(message, parameter.rawType, parameter.data);
  } else if (parameter.type == NFTA_DYNSET_EXPRESSIONS) {
    addExpressions(message, parameter.rawType, parameter.data);
  } else {
    return false;
  }
  return true;
}

bool isProtocolLoad(bool isBridge, std::string_view name, std::string_view parameters) {
  if (name == "meta")
    return !attributeIn(parameters, NFTA_META_DREG).empty() &&
           networkNumber(attributeIn(parameters, NFTA_META_KEY)) == (isBridge ? NFT_META_PROTOCOL : NFT_META_L4PROTO);
  return name == "payload" && !attributeIn(parameters, NFTA_PAYLOAD_DREG).empty() &&
         networkNumber(attributeIn(parameters, NFTA_PAYLOAD_BASE)) == (isBridge ? NFT_PAYLOAD_LL_HEADER : NFT_PAYLOAD_NETWORK_HEADER) &&
         networkNumber(attributeIn(parameters, NFTA_PAYLOAD_OFFSET)) == (isBridge ? etherTypeOffset : protocolOffset) &&
         networkNumber(attributeIn(parameters, NFTA_PAYLOAD_LEN)) == (isBridge ? 2 : 1);
}

struct Protocol {
  uint32_t number = 0;
  bool isInverted = false;
};

/** What the register loaded just before is compared with. */
std::optional<Protocol> comparedProtocol(bool isBridge, std::string_view parameters) {
  const uint32_t operation = networkNumber(attributeIn(parameters, NFTA_CMP_OP));
  const std::string_view value = attributeIn(attributeIn(parameters, NFTA_CMP_DATA), NFTA_DATA_VALUE);
  if ((operation != NFT_CMP_EQ && operation != NFT_CMP_NEQ) || value.size() != (isBridge ? 2 : 1)) return std::nullopt;
  // A bridge's is kept as it is in the packet.
  uint16_t number = static_cast<uint8_t>(value[0]);
  if (isBridge) memcpy(&number, value.data(), sizeof number);
  return Protocol{number, operation == NFT_CMP_NEQ};
}

/** `-p` of iptables-nft and ebtables-nft, which comes before what wants to know it; nothing: no match or target of theirs is told one. */
std::optional<Protocol> protocolOf(uint8_t family, std::string_view expressions) {
  const bool isBridge = family == NFPROTO_BRIDGE;
  std::optional<Protocol> protocol;
  bool wasLoaded = false;
  for (const auto& expression : routeAttributes(expressions)) {
    const std::string_view name = textOf(attributeIn(expression.data, NFTA_EXPR_NAME)), parameters = attributeIn(expression.data, NFTA_EXPR_DATA);
    if (name == "match" || name == "target") return protocol;
    if (name == "cmp" && wasLoaded && !protocol) protocol = comparedProtocol(isBridge, parameters);
    wasLoaded = isProtocolLoad(isBridge, name, parameters);
  }
  return std::nullopt;
}

}  // namespace

std::string_view attributeIn(std::string_view attributes, uint16_t type) {
  for (rtattr head; attributes.size() >= sizeof head;) {
    memcpy(&head, attributes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > attributes.size()) break;
    if ((head.rta_type & NLA_TYPE_MASK) == type) return attributes.substr(sizeof head, head.rta_len - sizeof head);
    attributes.remove_prefix(std::min<size_t>(RTA_ALIGN(head.rta_len), attributes.size()));
  }
  return {};
}

uint32_t networkNumber(std::string_view attribute) {
  uint32_t number = 0;
  if (attribute.size() >= sizeof number) memcpy(&number, attribute.data(), sizeof number);
  return ntohl(number);
}

void addNetworkNumber(NetlinkMessage& message, uint16_t type, uint32_t number) { message.attribute(type, htonl(number)); }

void addParameters(NetlinkMessage& message, uint16_t type, std::string_view name, std::string_view parameters) {
  const auto refused = refusedOf(name, parameters);
  const size_t opened = message.open(type);
  for (const auto& each : routeAttributes(parameters))
    if (!refused.contains(each.type) && !addChanged(message, name, each, parameters)) message.attribute(each.rawType, each.data.data(), each.data.size());
  message.close(opened);
}

void addExpression(NetlinkMessage& message, uint16_t type, std::string_view expression) {
  const std::string_view name = textOf(attributeIn(expression, NFTA_EXPR_NAME));
  if (name != "dynset" && name != "exthdr" && name != "osf" && name != "quota") {
    message.attribute(type, expression.data(), expression.size());
    return;
  }
  const size_t opened = message.open(type);
  for (const auto& each : routeAttributes(expression))
    if (each.type == NFTA_EXPR_DATA) addParameters(message, each.rawType, name, each.data);
    else message.attribute(each.rawType, each.data.data(), each.data.size());
  message.close(opened);
}

void addExpressions(NetlinkMessage& message, uint16_t type, std::string_view expressions) {
  const size_t opened = message.open(type);
  for (const auto& each : routeAttributes(expressions)) addExpression(message, each.rawType, each.data);
  message.close(opened);
}

void addCompat(NetlinkMessage& message, uint8_t family, std::string_view expressions) {
  const auto protocol = protocolOf(family, expressions);
  if (!protocol || protocol->number == 0) return;
  const size_t opened = message.open(NFTA_RULE_COMPAT | NLA_F_NESTED);
  addNetworkNumber(message, NFTA_RULE_COMPAT_PROTO, protocol->number);
  addNetworkNumber(message, NFTA_RULE_COMPAT_FLAGS, protocol->isInverted ? NFT_RULE_COMPAT_F_INV : 0);
  message.close(opened);
}

}  // namespace drover
