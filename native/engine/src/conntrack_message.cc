// See conntrack_message.h; the kernel's net/netfilter/nf_conntrack_netlink.c, nf_conntrack_proto_tcp.c and nf_nat_core.c.
#include "conntrack_message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <array>

#include "netlink_message.h"

namespace drover {

namespace {

constexpr uint16_t newConnection = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
constexpr uint16_t newExpectation = NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_NEW;
constexpr size_t headBytes = NLMSG_HDRLEN + sizeof(nfgenmsg);
constexpr size_t largestMessage = 16 << 10;

constexpr uint16_t keptOfConnection[] = {CTA_TUPLE_ORIG,   CTA_HELP,          CTA_MARK,   CTA_ZONE,    CTA_TUPLE_MASTER,
                                         CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY, CTA_LABELS, CTA_SYNPROXY};
/** The rest the kernel sets itself, or refuses: that a connection was expected it takes from its master. */
constexpr uint32_t keptStatus = IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_FIXED_TIMEOUT | IPS_HELPER;
/** Not what belongs to numbers that are not told (the highest acknowledged one): with it alone, a valid reset might pass for a forged one. */
constexpr uint8_t keptTcpFlags = static_cast<uint8_t>(~(IP_CT_TCP_FLAG_MAXACK_SET | IP_CT_EXP_CHALLENGE_ACK));
/** Of a connection in a flow table, of which nothing is told: until its next packets. */
constexpr uint32_t timeoutOfOffloaded = 120;

/** By type, of those that are known; a null pointer: it is not there. */
using Attributes = std::array<std::string_view, 32>;

Attributes attributesIn(std::string_view bytes) {
  Attributes found;
  rtattr head;
  while (bytes.size() >= sizeof head) {
    memcpy(&head, bytes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) break;
    const auto type = static_cast<uint16_t>(head.rta_type & NLA_TYPE_MASK);
    if (type < found.size()) found[type] = bytes.substr(sizeof head, head.rta_len - sizeof head);
    bytes.remove_prefix(std::min<size_t>(RTA_ALIGN(head.rta_len), bytes.size()));
  }
  return found;
}

void copy(NetlinkMessage& message, uint16_t type, std::string_view value, bool nested) {
  if (value.data()) message.attribute(nested ? static_cast<uint16_t>(type | NLA_F_NESTED) : type, value.data(), value.size());
}

/** One direction of a connection: views into what it was read from. */
struct Tuple {
  std::string_view source, target, sourcePort, targetPort;
  bool ipv6;
  explicit Tuple(std::string_view bytes) {
    const Attributes parts = attributesIn(bytes), ip = attributesIn(parts[CTA_TUPLE_IP]), protocol = attributesIn(parts[CTA_TUPLE_PROTO]);
    ipv6 = ip[CTA_IP_V6_SRC].data();
    source = ip[ipv6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC];
    target = ip[ipv6 ? CTA_IP_V6_DST : CTA_IP_V4_DST];
    sourcePort = protocol[CTA_PROTO_SRC_PORT];
    targetPort = protocol[CTA_PROTO_DST_PORT];
    // The number of an echo request is translated together with its source, and is the same in both directions.
    for (int id : {CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID})
      if (protocol[id].data()) sourcePort = targetPort = protocol[id];
  }
  bool isEcho() const { return sourcePort.data() && sourcePort.data() == targetPort.data(); }
};

/** `part` is within `whole`. */
void overwrite(std::string& whole, std::string_view part, std::string_view value) {
  if (part.data() && part.size() == value.size()) whole.replace(static_cast<size_t>(part.data() - whole.data()), part.size(), value);
}

void askForAddress(NetlinkMessage& message, uint16_t type, bool ipv6, std::string_view address, std::string_view port) {
  const size_t opened = message.open(type | NLA_F_NESTED);
  copy(message, ipv6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP, address, false);
  if (port.data()) {
    const size_t ports = message.open(CTA_NAT_PROTO | NLA_F_NESTED);
    copy(message, CTA_PROTONAT_PORT_MIN, port, false);
    message.close(ports);
  }
  message.close(opened);
}

/**
 * The kernel translates the answers' addresses, as they would be without NAT, into the ones asked for, and only then knows the connection
 * for a translated one. One that has been through the rules of NAT and was left as it is asks for what it has: its next packet must
 * not go through them again.
 */
void writeReply(NetlinkMessage& message, const Attributes& all, uint32_t status) {
  std::string plain(all[CTA_TUPLE_REPLY]);
  const Tuple original(all[CTA_TUPLE_ORIG]), reply(all[CTA_TUPLE_REPLY]), inPlain{plain};
  if (status & IPS_SRC_NAT) {
    overwrite(plain, inPlain.target, original.source);
    overwrite(plain, inPlain.targetPort, original.sourcePort);
  }
  if (status & IPS_DST_NAT) {
    overwrite(plain, inPlain.source, original.target);
    if (!reply.isEcho()) overwrite(plain, inPlain.sourcePort, original.targetPort);
  }
  copy(message, CTA_TUPLE_REPLY, plain, true);
  if (status & IPS_SRC_NAT_DONE) askForAddress(message, CTA_NAT_SRC, reply.ipv6, reply.target, reply.targetPort);
  if (status & IPS_DST_NAT_DONE)
    askForAddress(message, CTA_NAT_DST, reply.ipv6, reply.source, reply.isEcho() ? std::string_view() : reply.sourcePort);
}

void writeTcp(NetlinkMessage& message, std::string_view told) {
  const Attributes all = attributesIn(told);
  const size_t info = message.open(CTA_PROTOINFO | NLA_F_NESTED);
  const size_t tcp = message.open(CTA_PROTOINFO_TCP | NLA_F_NESTED);
  for (uint16_t type : {CTA_PROTOINFO_TCP_STATE, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, CTA_PROTOINFO_TCP_WSCALE_REPLY})
    copy(message, type, all[type], false);
  for (uint16_t type : {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY}) {
    nf_ct_tcp_flags flags = {};
    if (all[type].size() != sizeof flags) continue;
    memcpy(&flags, all[type].data(), sizeof flags);
    flags.mask = 0xff;
    flags.flags &= keptTcpFlags;
    message.attribute(type, &flags, sizeof flags);
  }
  message.close(tcp);
  message.close(info);
}

/** Its windows are unknown as well, so the next packets of either side are believed. */
void writeOffloadedTcp(NetlinkMessage& message) {
  const size_t info = message.open(CTA_PROTOINFO | NLA_F_NESTED);
  const size_t tcp = message.open(CTA_PROTOINFO_TCP | NLA_F_NESTED);
  const uint8_t state = TCP_CONNTRACK_ESTABLISHED;
  message.attribute(CTA_PROTOINFO_TCP_STATE, &state, sizeof state);
  const nf_ct_tcp_flags flags = {.flags = IP_CT_TCP_FLAG_BE_LIBERAL, .mask = 0xff};
  for (uint16_t type : {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY}) message.attribute(type, &flags, sizeof flags);
  message.close(tcp);
  message.close(info);
}

bool isTcp(std::string_view tuple) {
  const std::string_view number = attributesIn(attributesIn(tuple)[CTA_TUPLE_PROTO])[CTA_PROTO_NUM];
  return number.size() == 1 && static_cast<uint8_t>(number[0]) == IPPROTO_TCP;
}

bool writeConnection(NetlinkMessage& message, const Attributes& all) {
  uint32_t status = 0;
  if (!all[CTA_TUPLE_ORIG].data() || !all[CTA_TUPLE_REPLY].data() || all[CTA_STATUS].size() != sizeof status) return false;
  memcpy(&status, all[CTA_STATUS].data(), sizeof status);
  status = ntohl(status);
  if (status & IPS_DYING) return false;
  constexpr uint16_t plainNumbers[] = {CTA_MARK, CTA_ZONE, CTA_LABELS};
  for (uint16_t type : keptOfConnection)
    copy(message, type, all[type], std::find(std::begin(plainNumbers), std::end(plainNumbers), type) == std::end(plainNumbers));
  writeReply(message, all, status);
  message.attribute(CTA_STATUS, htonl((status & keptStatus) | IPS_CONFIRMED));
  const Attributes protocol = attributesIn(all[CTA_PROTOINFO]);
  if (protocol[CTA_PROTOINFO_TCP].data()) writeTcp(message, protocol[CTA_PROTOINFO_TCP]);
  else if (all[CTA_PROTOINFO].data()) copy(message, CTA_PROTOINFO, all[CTA_PROTOINFO], true);
  else if (isTcp(all[CTA_TUPLE_ORIG])) writeOffloadedTcp(message);
  if (all[CTA_TIMEOUT].data()) copy(message, CTA_TIMEOUT, all[CTA_TIMEOUT], false);
  else message.attribute(CTA_TIMEOUT, htonl(timeoutOfOffloaded));
  return true;
}

bool writeExpectation(NetlinkMessage& message, const Attributes& all) {
  if (!all[CTA_EXPECT_MASTER].data()) return false;
  for (uint16_t type : {CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_NAT}) copy(message, type, all[type], true);
  for (uint16_t type : {CTA_EXPECT_TIMEOUT, CTA_EXPECT_HELP_NAME, CTA_EXPECT_ZONE, CTA_EXPECT_FLAGS, CTA_EXPECT_CLASS, CTA_EXPECT_FN})
    copy(message, type, all[type], false);
  return true;
}

/** Nothing: its length is not one that it can have. */
std::optional<nlmsghdr> headOf(std::string_view bytes) {
  nlmsghdr head;
  if (bytes.size() < headBytes) return {};
  memcpy(&head, bytes.data(), sizeof head);
  if (head.nlmsg_len < headBytes || head.nlmsg_len > std::min(bytes.size(), largestMessage)) return {};
  return head;
}

}  // namespace

std::optional<std::string> conntrackRenewal(std::string_view told) {
  auto head = headOf(told);
  if (!head || (head->nlmsg_type != newConnection && head->nlmsg_type != newExpectation)) return {};
  nfgenmsg family;
  memcpy(&family, told.data() + NLMSG_HDRLEN, sizeof family);
  NetlinkMessage message(head->nlmsg_type, NLM_F_CREATE | NLM_F_EXCL);
  message.header(nfgenmsg{.nfgen_family = family.nfgen_family, .version = NFNETLINK_V0, .res_id = 0});
  const Attributes all = attributesIn(told.substr(headBytes, head->nlmsg_len - headBytes));
  const bool written = head->nlmsg_type == newConnection ? writeConnection(message, all) : writeExpectation(message, all);
  if (!written) return {};
  const auto& bytes = message.finish();
  return std::string(bytes.data(), bytes.size());
}

std::optional<std::vector<std::string_view>> splitConntrack(std::string_view dump) {
  std::vector<std::string_view> messages;
  while (!dump.empty()) {
    auto head = headOf(dump);
    // No other request of netfilter's may come by this way. And each is sent together with others, so all are aligned.
    if (!head || (head->nlmsg_type != newConnection && head->nlmsg_type != newExpectation) || head->nlmsg_len % NLMSG_ALIGNTO != 0) return {};
    messages.push_back(dump.substr(0, head->nlmsg_len));
    dump.remove_prefix(head->nlmsg_len);
  }
  return messages;
}

}  // namespace drover
