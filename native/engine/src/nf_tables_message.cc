// See nf_tables_message.h, linux/netfilter/nf_tables.h.
#include "nf_tables_message.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <map>
#include <set>

#include "netlink_message.h"
#include "nf_tables_expression.h"
#include "route_messages.h"

namespace drover {
namespace {

struct Kind {
  const char* name;
  /** Attribute with the name, beside that of the table. */
  uint16_t named;
  /** Attributes to send again. All else are the kernel's own numbers, or say the same once more; later kernels add such that they refuse. */
  std::set<uint16_t> taken;
};

const std::map<uint16_t, Kind> kinds = {
    {NFT_MSG_NEWTABLE, {"table", 0, {NFTA_TABLE_NAME, NFTA_TABLE_FLAGS, NFTA_TABLE_USERDATA}}},
    {NFT_MSG_NEWOBJ, {"object", NFTA_OBJ_NAME, {NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE, NFTA_OBJ_DATA, NFTA_OBJ_USERDATA}}},
    {NFT_MSG_NEWFLOWTABLE,
     {"flow table", NFTA_FLOWTABLE_NAME, {NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_FLAGS}}},
    {NFT_MSG_NEWCHAIN,
     {"chain",
      NFTA_CHAIN_NAME,
      {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_CHAIN_COUNTERS, NFTA_CHAIN_FLAGS, NFTA_CHAIN_USERDATA}}},
    {NFT_MSG_NEWSET,
     {"set",
      NFTA_SET_NAME,
      {NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN, NFTA_SET_OBJ_TYPE,
       NFTA_SET_POLICY, NFTA_SET_DESC, NFTA_SET_TIMEOUT, NFTA_SET_GC_INTERVAL, NFTA_SET_USERDATA, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS}}},
    {NFT_MSG_NEWSETELEM,
     {"elements", NFTA_SET_ELEM_LIST_SET, {NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS}}},
    {NFT_MSG_NEWRULE, {"rule", NFTA_RULE_CHAIN, {NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA}}},
};

constexpr size_t headBytes = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));

/** Null: it is not of those. */
const Kind* kindOf(const RouteMessage& message) {
  auto found = kinds.find(message.type() & 0xff);
  const bool isWhole = (message.type() >> 8) == NFNL_SUBSYS_NFTABLES && message.bytes().size() >= headBytes;
  return isWhole && found != kinds.end() ? &found->second : nullptr;
}

void addElement(NetlinkMessage& message, const RouteAttribute& element) {
  const bool isEnd = networkNumber(attributeIn(element.data, NFTA_SET_ELEM_FLAGS)) & NFT_SET_ELEM_INTERVAL_END;
  const bool hasExpressions = !attributeIn(element.data, NFTA_SET_ELEM_EXPR).empty() || !attributeIn(element.data, NFTA_SET_ELEM_EXPRESSIONS).empty();
  if (!isEnd && !hasExpressions) {
    message.attribute(element.rawType, element.data.data(), element.data.size());
    return;
  }
  const size_t opened = message.open(element.rawType);
  for (const auto& each : routeAttributes(element.data))
    // Told of an interval's end as well where a set has a timeout, and taken only with the beginning.
    if (isEnd && each.type == NFTA_SET_ELEM_TIMEOUT) continue;
    else if (each.type == NFTA_SET_ELEM_EXPR) addExpression(message, each.rawType, each.data);
    else if (each.type == NFTA_SET_ELEM_EXPRESSIONS) addExpressions(message, each.rawType, each.data);
    else message.attribute(each.rawType, each.data.data(), each.data.size());
  message.close(opened);
}

/** An interval's end is told before its beginning, and taken after it. */
void addElements(NetlinkMessage& message, const RouteAttribute& elements) {
  auto all = routeAttributes(elements.data);
  const size_t opened = message.open(elements.rawType);
  for (auto each = all.rbegin(); each != all.rend(); ++each) addElement(message, *each);
  message.close(opened);
}

/** False: it can stay as it is told. */
bool addChanged(NetlinkMessage& message, uint16_t kind, const RouteAttribute& each, std::string_view all) {
  if (kind == NFT_MSG_NEWTABLE && each.type == NFTA_TABLE_FLAGS) {
    // An owned table belongs to a program's socket, which is not here: with ours it would go. To persist is for owned ones.
    addNetworkNumber(message, each.rawType, networkNumber(each.data) & NFT_TABLE_F_DORMANT);
  } else if (kind == NFT_MSG_NEWOBJ && each.type == NFTA_OBJ_DATA && networkNumber(attributeIn(all, NFTA_OBJ_TYPE)) == NFT_OBJECT_QUOTA) {
    addParameters(message, each.rawType, "quota", each.data);
  } else if (kind == NFT_MSG_NEWSET && each.type == NFTA_SET_EXPR) {
    addExpression(message, each.rawType, each.data);
  } else if ((kind == NFT_MSG_NEWSET && each.type == NFTA_SET_EXPRESSIONS) || (kind == NFT_MSG_NEWRULE && each.type == NFTA_RULE_EXPRESSIONS)) {
    addExpressions(message, each.rawType, each.data);
  } else if (kind == NFT_MSG_NEWSETELEM && each.type == NFTA_SET_ELEM_LIST_ELEMENTS) {
    addElements(message, each);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> nfTablesRenewal(std::string_view told, uint32_t setId) {
  const RouteMessage message(told);
  const Kind* kind = kindOf(message);
  if (!kind) return std::nullopt;
  const uint16_t number = message.type() & 0xff;
  const std::string_view all = told.substr(headBytes);
  NetlinkMessage renewed(message.type(), 0);
  auto header = message.header<nfgenmsg>();
  header.res_id = 0;
  renewed.header(header);
  for (const auto& each : routeAttributes(all))
    if (kind->taken.contains(each.type) && !addChanged(renewed, number, each, all)) renewed.attribute(each.rawType, each.data.data(), each.data.size());
  if (number == NFT_MSG_NEWRULE) addCompat(renewed, header.nfgen_family, attributeIn(all, NFTA_RULE_EXPRESSIONS));
  // Asked for, though all refer to it by name.
  if (number == NFT_MSG_NEWSET) addNetworkNumber(renewed, NFTA_SET_ID, setId);
  const auto& bytes = renewed.finish();
  return std::string(bytes.begin(), bytes.end());
}

std::optional<std::vector<std::string_view>> splitNfTables(std::string_view dump) {
  std::vector<std::string_view> messages;
  size_t bytes = 0;
  for (const RouteMessage& message : splitMessages(dump)) {
    if (!kindOf(message)) return std::nullopt;
    messages.push_back(message.bytes());
    bytes += NLMSG_ALIGN(message.bytes().size());
  }
  if (bytes != dump.size()) return std::nullopt;
  return messages;
}

std::string nfTablesSubject(std::string_view message) {
  const Kind* kind = kindOf(RouteMessage(message));
  if (!kind) return "nftables";
  // The table's name is the first attribute of each kind.
  std::string subject(attributeIn(message.substr(headBytes), NFTA_TABLE_NAME));
  if (kind->named != 0) subject.append("/").append(attributeIn(message.substr(headBytes), kind->named));
  std::erase(subject, '\0');
  for (char& each : subject)
    if (each < ' ' || each > '~') each = '?';
  return std::string(kind->name) + " in " + subject;
}

}  // namespace drover
