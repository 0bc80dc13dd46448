// See nf_tables_message.h, linux/netfilter/nf_tables.h, linux/netfilter/nf_tables_compat.h.
#include "nf_tables_message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <map>
#include <set>

#include "netlink_message.h"
#include "route_messages.h"

namespace drover {
namespace {

/** What each kind of message takes; all else is the kernel's own, or older than what it says now. */
const std::map<uint16_t, std::set<uint16_t>> taken = {
    {NFT_MSG_NEWTABLE, {NFTA_TABLE_NAME, NFTA_TABLE_FLAGS, NFTA_TABLE_USERDATA}},
    {NFT_MSG_NEWOBJ, {NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE, NFTA_OBJ_DATA, NFTA_OBJ_USERDATA}},
    {NFT_MSG_NEWFLOWTABLE, {NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_FLAGS}},
    {NFT_MSG_NEWCHAIN,
     {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_CHAIN_COUNTERS, NFTA_CHAIN_FLAGS, NFTA_CHAIN_USERDATA}},
    {NFT_MSG_NEWSET,
     {NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, NFTA_SET_POLICY,
      NFTA_SET_DESC, NFTA_SET_TIMEOUT, NFTA_SET_GC_INTERVAL, NFTA_SET_USERDATA, NFTA_SET_OBJ_TYPE, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS}},
    {NFT_MSG_NEWSETELEM, {NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS}},
    {NFT_MSG_NEWRULE, {NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA}},
};

constexpr size_t headBytes = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
/** IPv4's place of the protocol. */
constexpr uint32_t protocolOffset = 9;

uint32_t fromNetwork(const RouteAttribute& attribute) { return ntohl(attribute.number()); }

std::map<uint16_t, RouteAttribute> byType(std::string_view nested) {
  std::map<uint16_t, RouteAttribute> found;
  for (const auto& each : routeAttributes(nested)) found[each.type] = each;
  return found;
}

struct Compat {
  uint32_t protocol = 0;
  bool inverted = false;
  /** Matches or targets of iptables that nftables has no words for. */
  bool isWanted = false;
};

/** The protocol that a rule of iptables-nft is about, which its matches want to be told: `-p` comes as a comparison that precedes them. */
Compat compatOf(std::string_view expressions) {
  Compat compat;
  uint32_t loaded = UINT32_MAX;
  for (const auto& element : routeAttributes(expressions)) {
    auto expression = byType(element.data);
    const std::string name = expression[NFTA_EXPR_NAME].text();
    auto data = byType(expression[NFTA_EXPR_DATA].data);
    if (name == "match" || name == "target") compat.isWanted = true;
    if (name == "meta" && fromNetwork(data[NFTA_META_KEY]) == NFT_META_L4PROTO) loaded = fromNetwork(data[NFTA_META_DREG]);
    const bool isOfHeader = name == "payload" && fromNetwork(data[NFTA_PAYLOAD_BASE]) == NFT_PAYLOAD_NETWORK_HEADER;
    if (isOfHeader && fromNetwork(data[NFTA_PAYLOAD_OFFSET]) == protocolOffset && fromNetwork(data[NFTA_PAYLOAD_LEN]) == 1)
      loaded = fromNetwork(data[NFTA_PAYLOAD_DREG]);
    if (name != "cmp" || compat.protocol != 0 || fromNetwork(data[NFTA_CMP_SREG]) != loaded) continue;
    const std::string_view value = byType(data[NFTA_CMP_DATA].data)[NFTA_DATA_VALUE].data;
    if (value.size() != 1) continue;
    compat.protocol = static_cast<uint8_t>(value[0]);
    compat.inverted = fromNetwork(data[NFTA_CMP_OP]) == NFT_CMP_NEQ;
  }
  return compat;
}

void addNumber(NetlinkMessage& message, uint16_t type, uint32_t value) { message.attribute(type, htonl(value)); }

void addCompat(NetlinkMessage& message, const Compat& compat) {
  if (!compat.isWanted || compat.protocol == 0) return;
  const size_t opened = message.open(NFTA_RULE_COMPAT | NLA_F_NESTED);
  addNumber(message, NFTA_RULE_COMPAT_PROTO, compat.protocol);
  addNumber(message, NFTA_RULE_COMPAT_FLAGS, compat.inverted ? NFT_RULE_COMPAT_F_INV : 0);
  message.close(opened);
}

/** What is told of an option of TCP that a rule writes or takes away, and not taken with that. */
std::set<uint16_t> leftOutOf(std::string_view name, std::map<uint16_t, RouteAttribute>& data) {
  if (name != "exthdr" || data.contains(NFTA_EXTHDR_DREG)) return {};
  if (data.contains(NFTA_EXTHDR_SREG)) return {NFTA_EXTHDR_FLAGS};
  return {NFTA_EXTHDR_FLAGS, NFTA_EXTHDR_OFFSET, NFTA_EXTHDR_LEN};
}

void addExpressions(NetlinkMessage& message, std::string_view expressions) {
  const size_t opened = message.open(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED);
  for (const auto& element : routeAttributes(expressions)) {
    auto expression = byType(element.data);
    auto data = byType(expression[NFTA_EXPR_DATA].data);
    const auto leftOut = leftOutOf(expression[NFTA_EXPR_NAME].text(), data);
    if (leftOut.empty()) {
      message.attribute(element.rawType, element.data.data(), element.data.size());
      continue;
    }
    const size_t one = message.open(element.rawType);
    message.attribute(NFTA_EXPR_NAME, expression[NFTA_EXPR_NAME].text());
    const size_t rest = message.open(NFTA_EXPR_DATA | NLA_F_NESTED);
    copyAttributes(message, routeAttributes(expression[NFTA_EXPR_DATA].data), leftOut);
    message.close(rest);
    message.close(one);
  }
  message.close(opened);
}

/** An interval's end is told before its beginning, and taken after it. */
void addElements(NetlinkMessage& message, std::string_view elements) {
  auto all = routeAttributes(elements);
  const size_t opened = message.open(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED);
  for (auto each = all.rbegin(); each != all.rend(); ++each) message.attribute(each->rawType, each->data.data(), each->data.size());
  message.close(opened);
}

}  // namespace

std::optional<std::string> nfTablesRenewal(std::string_view told, uint32_t setId) {
  const RouteMessage message(told);
  const uint16_t kind = message.type() & 0xff;
  auto known = taken.find(kind);
  if ((message.type() >> 8) != NFNL_SUBSYS_NFTABLES || known == taken.end() || told.size() < headBytes) return {};
  NetlinkMessage renewed(message.type(), static_cast<uint16_t>(NLM_F_CREATE | (kind == NFT_MSG_NEWRULE ? NLM_F_APPEND : 0)));
  auto header = message.header<nfgenmsg>();
  header.res_id = 0;
  renewed.header(header);
  for (const auto& each : message.attributes<nfgenmsg>()) {
    if (!known->second.contains(each.type)) continue;
    // It belongs to a program whose socket is not here: with ours it would go.
    if (kind == NFT_MSG_NEWTABLE && each.type == NFTA_TABLE_FLAGS) addNumber(renewed, NFTA_TABLE_FLAGS, fromNetwork(each) & NFT_TABLE_F_DORMANT);
    else if (kind == NFT_MSG_NEWSETELEM && each.type == NFTA_SET_ELEM_LIST_ELEMENTS) addElements(renewed, each.data);
    else if (kind == NFT_MSG_NEWRULE && each.type == NFTA_RULE_EXPRESSIONS) addExpressions(renewed, each.data);
    else renewed.attribute(each.rawType, each.data.data(), each.data.size());
    if (kind == NFT_MSG_NEWRULE && each.type == NFTA_RULE_EXPRESSIONS) addCompat(renewed, compatOf(each.data));
  }
  if (kind == NFT_MSG_NEWSET) addNumber(renewed, NFTA_SET_ID, setId);
  const auto& bytes = renewed.finish();
  return std::string(bytes.begin(), bytes.end());
}

std::optional<std::vector<std::string_view>> splitNfTables(std::string_view dump) {
  std::vector<std::string_view> messages;
  size_t bytes = 0;
  for (const RouteMessage& message : splitMessages(dump)) {
    const bool isKnown = (message.type() >> 8) == NFNL_SUBSYS_NFTABLES && taken.contains(message.type() & 0xff);
    if (!isKnown || message.bytes().size() < headBytes) return {};
    messages.push_back(message.bytes());
    bytes += NLMSG_ALIGN(message.bytes().size());
  }
  if (bytes != dump.size()) return {};
  return messages;
}

}  // namespace drover
