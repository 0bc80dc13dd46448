// See nf_tables_state.h, linux/netfilter/nfnetlink.h: a batch is one datagram, and takes effect as a whole.
#include "nf_tables_state.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <functional>
#include <set>

#include "netlink_message.h"
#include "nf_tables_message.h"
#include "route_messages.h"

namespace drover {
namespace {

constexpr size_t mostBytes = 64 << 20;
constexpr size_t answerBytes = 64 << 10;
constexpr int attempts = 5;
constexpr timeval deadline = {5, 0};

uint16_t typeOf(uint16_t kind) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | kind); }

Result<UniqueFd> openNfTables(int networkNamespace) {
  DROVER_TRY_ASSIGN(socket, socketInside(networkNamespace, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) != 0) return errnoError("set a deadline for netlink");
  return socket;
}

/** 0 or an errno; EINTR: it changed meanwhile. EPROTONOSUPPORT and its like: this kernel has no nftables. */
int ask(int socket, NetlinkMessage& question, const std::function<void(std::string_view)>& take) {
  const auto& bytes = question.finish();
  if (send(socket, bytes.data(), bytes.size(), 0) < 0) return errno;
  std::vector<char> answer(answerBytes);
  for (bool interrupted = false;;) {
    const ssize_t count = recv(socket, answer.data(), answer.size(), 0);
    if (count < 0) return errno;
    for (const RouteMessage& message : splitMessages({answer.data(), static_cast<size_t>(count)})) {
      nlmsghdr head;
      memcpy(&head, message.bytes().data(), sizeof head);
      interrupted = interrupted || (head.nlmsg_flags & NLM_F_DUMP_INTR);
      if (head.nlmsg_type == NLMSG_DONE) return interrupted ? EINTR : 0;
      if (head.nlmsg_type == NLMSG_ERROR) return netlinkResult(message.bytes()).value_or(EPROTO);
      take(message.bytes());
    }
  }
}

NetlinkMessage questionAbout(uint16_t kind, uint8_t family) {
  NetlinkMessage question(typeOf(kind), NLM_F_DUMP);
  nfgenmsg header{};
  header.nfgen_family = family;
  question.header(header);
  return question;
}

class Dump {
 public:
  explicit Dump(int socket) : socket_(socket) {}

  /** 0 or an errno. */
  int all() {
    text_.clear();
    if (int number = add(NFT_MSG_GETTABLE); number != 0 || text_.empty()) return number;
    for (uint16_t kind : {NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET})
      if (int number = add(kind); number != 0) return number;
    // Of a map of verdicts they name chains; rules name sets.
    const std::string sets = text_;
    for (const RouteMessage& set : splitMessages(sets))
      if (set.type() == typeOf(NFT_MSG_NEWSET))
        if (int number = addElements(set); number != 0) return number;
    return addRules();
  }
  const std::string& text() const { return text_; }

 private:
  int add(uint16_t kind) {
    NetlinkMessage question = questionAbout(kind, AF_UNSPEC);
    return ask(socket_, question, [&](std::string_view told) { keep(nfTablesRenewal(told, ++sets_)); });
  }

  /** Told from the last to the first, in which order they are not taken. */
  int addElements(const RouteMessage& set) {
    auto table = set.attribute<nfgenmsg>(NFTA_SET_TABLE), name = set.attribute<nfgenmsg>(NFTA_SET_NAME);
    if (!table || !name) return EPROTO;
    NetlinkMessage question = questionAbout(NFT_MSG_GETSETELEM, set.header<nfgenmsg>().nfgen_family);
    question.attribute(NFTA_SET_ELEM_LIST_TABLE, table->text());
    question.attribute(NFTA_SET_ELEM_LIST_SET, name->text());
    std::vector<std::string> pieces;
    const int number = ask(socket_, question, [&](std::string_view told) {
      if (auto renewed = nfTablesRenewal(told, 0)) pieces.push_back(std::move(*renewed));
    });
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) keep(std::move(*piece));
    return number;
  }

  /** Those of chains without a name (`jump { … }`) first: the rule that leads there closes them. */
  int addRules() {
    std::set<std::string> closed;
    for (const RouteMessage& chain : splitMessages(text_))
      if (chain.type() == typeOf(NFT_MSG_NEWCHAIN))
        if (auto flags = chain.attribute<nfgenmsg>(NFTA_CHAIN_FLAGS); flags && (ntohl(flags->number()) & NFT_CHAIN_BINDING)) closed.insert(placeOf(chain, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME));
    std::vector<std::string> others;
    NetlinkMessage question = questionAbout(NFT_MSG_GETRULE, AF_UNSPEC);
    const int number = ask(socket_, question, [&](std::string_view told) {
      auto renewed = nfTablesRenewal(told, 0);
      if (!renewed) return;
      if (closed.contains(placeOf(RouteMessage(told), NFTA_RULE_TABLE, NFTA_RULE_CHAIN))) keep(std::move(renewed));
      else others.push_back(std::move(*renewed));
    });
    for (std::string& rule : others) keep(std::move(rule));
    return number;
  }

  static std::string placeOf(const RouteMessage& message, uint16_t table, uint16_t name) {
    auto first = message.attribute<nfgenmsg>(table), second = message.attribute<nfgenmsg>(name);
    return std::to_string(message.header<nfgenmsg>().nfgen_family) + "/" + (first ? first->text() : "") + "/" + (second ? second->text() : "");
  }

  void keep(std::optional<std::string> message) {
    if (message && text_.size() <= mostBytes) text_ += *message;
  }

  int socket_;
  uint32_t sets_ = 0;
  std::string text_;
};

std::string borderOf(uint16_t type) {
  NetlinkMessage border(type, 0);
  nfgenmsg header{};
  header.res_id = htons(NFNL_SUBSYS_NFTABLES);
  border.header(header);
  const auto& bytes = border.finish();
  return std::string(bytes.begin(), bytes.end());
}

/** The last one before the end is answered whatever comes of it, after all that is refused. */
std::string batchOf(const std::vector<std::string_view>& messages) {
  std::string batch;
  auto add = [&](std::string_view message, uint16_t flags, uint32_t sequence) {
    nlmsghdr head;
    memcpy(&head, message.data(), sizeof head);
    head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags | (head.nlmsg_flags & (NLM_F_CREATE | NLM_F_APPEND)));
    head.nlmsg_seq = sequence;
    batch.append(reinterpret_cast<const char*>(&head), sizeof head);
    batch.append(message.substr(sizeof head));
    batch.resize(NLMSG_ALIGN(batch.size()));
  };
  add(borderOf(NFNL_MSG_BATCH_BEGIN), 0, 0);
  uint32_t sequence = 0;
  for (std::string_view message : messages) {
    sequence++;
    add(message, sequence == messages.size() ? NLM_F_ACK : 0, sequence);
  }
  add(borderOf(NFNL_MSG_BATCH_END), 0, ++sequence);
  return batch;
}

/** Sizes beyond the host's usual ones, as root of the host may. */
bool sendWhole(int socket, const std::string& batch) {
  const int room = static_cast<int>(batch.size() + answerBytes);
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  return send(socket, batch.data(), batch.size(), 0) == static_cast<ssize_t>(batch.size());
}

}  // namespace

Result<std::string> dumpNfTables(int networkNamespace) {
  DROVER_TRY_ASSIGN(socket, openNfTables(networkNamespace));
  Dump dump(socket.get());
  int number = EINTR;
  for (int attempt = 0; attempt < attempts && number == EINTR; attempt++) number = dump.all();
  if (number == EPROTONOSUPPORT || number == EOPNOTSUPP || number == EINVAL) return std::string();
  if (number != 0) return errnoError("read the container's nftables", number);
  if (dump.text().size() > mostBytes) return errnoError("read the container's nftables", EFBIG);
  return dump.text();
}

Status loadNfTables(int networkNamespace, std::string_view dump) {
  if (dump.empty()) return {};
  const auto messages = splitNfTables(dump);
  if (!messages || dump.size() > mostBytes) return engineError("what came as the nftables of a container is not that");
  DROVER_TRY_ASSIGN(socket, openNfTables(networkNamespace));
  if (!sendWhole(socket.get(), batchOf(*messages))) return errnoError("set the container's nftables");
  int refused = 0;
  std::vector<char> answer(answerBytes);
  for (;;) {
    const ssize_t count = recv(socket.get(), answer.data(), answer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoError("set the container's nftables", refused != 0 ? refused : errno);
    for (const RouteMessage& message : splitMessages({answer.data(), static_cast<size_t>(count)})) {
      nlmsghdr head;
      memcpy(&head, message.bytes().data(), sizeof head);
      const int number = netlinkResult(message.bytes()).value_or(0);
      if (refused == 0) refused = number;
      // Of the whole batch, or of the last message.
      if ((head.nlmsg_seq == 0 && number != 0) || head.nlmsg_seq == messages->size())
        return refused == 0 ? Status() : Status(errnoError("set the container's nftables", refused));
    }
  }
}

}  // namespace drover
