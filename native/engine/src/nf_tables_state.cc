// See nf_tables_state.h, linux/netfilter/nfnetlink.h: a batch is one datagram, and takes effect as a whole.
#include "nf_tables_state.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <tuple>

#include "netlink_message.h"
#include "nf_tables_expression.h"
#include "nf_tables_message.h"
#include "route_messages.h"

namespace drover {
namespace {

constexpr size_t mostBytes = 64 << 20;
/** The kernel fills half of this at most. */
constexpr size_t answerBytes = 64 << 10;
constexpr int attempts = 5;
constexpr timeval deadline = {.tv_sec = 5, .tv_usec = 0};
/** First in a batch; its messages' follow. */
constexpr uint32_t firstSequence = 1;
constexpr size_t headBytes = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));

uint16_t typeOf(uint16_t kind) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | kind); }

nlmsghdr headOf(std::string_view message) {
  nlmsghdr head{};
  memcpy(&head, message.data(), std::min(sizeof head, message.size()));
  return head;
}

class Conversation {
 public:
  /** 0 or an errno. */
  int begin(UniqueFd socket) {
    socket_ = std::move(socket);
    const int brief = 1;
    // A refusal without the whole of what was refused.
    (void)setsockopt(socket_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &brief, sizeof brief);
    return setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) == 0 ? 0 : errno;
  }

  int send(std::string_view bytes) {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const ssize_t sent = sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    return sent < 0 ? errno : static_cast<size_t>(sent) == bytes.size() ? 0 : EMSGSIZE;
  }

  /** Beyond the host's usual limit, as root of the host may; who may not, is told so when sending. */
  void makeRoom(size_t bytes) {
    const int room = static_cast<int>(bytes + answerBytes);
    (void)setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  }

  /** Each answer, until `take` gives a result: 0 or an errno. */
  int receive(const std::function<std::optional<int>(std::string_view)>& take) {
    for (;;) {
      sockaddr_nl from{};
      socklen_t size = sizeof from;
      const ssize_t count = recvfrom(socket_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &size);
      // Some of the refusals of a batch found no room; the first ones did.
      if (count < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
      if (count < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
      // Root of the container may send us something as well.
      if (from.nl_pid != 0) continue;
      if (static_cast<size_t>(count) > buffer_.size()) return EMSGSIZE;
      for (const RouteMessage& message : splitMessages({buffer_.data(), static_cast<size_t>(count)}))
        if (auto result = take(message.bytes())) return *result;
    }
  }

 private:
  UniqueFd socket_;
  std::vector<char> buffer_ = std::vector<char>(answerBytes);
};

Result<Conversation> converse(int networkNamespace) {
  DROVER_TRY_ASSIGN(socket, socketInside(networkNamespace, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  Conversation conversation;
  if (int number = conversation.begin(std::move(socket)); number != 0) return errnoError("limit the wait for nftables", number);
  return conversation;
}

class Dump {
 public:
  explicit Dump(Conversation& kernel) : kernel_(kernel) {}

  /** 0 or an errno; EINTR: something changed meanwhile. What comes later refers to what comes earlier. */
  int all() {
    text_.clear();
    generation_.reset();
    int number = add(NFT_MSG_GETTABLE);
    // This kernel has no nftables.
    if (number == EINVAL || number == EOPNOTSUPP) return 0;
    if (number != 0 || text_.empty()) return number;
    for (uint16_t kind : {NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET})
      if (number = add(kind); number != 0) return number;
    const std::string known = text_;
    for (const RouteMessage& message : splitMessages(known))
      if (message.type() == typeOf(NFT_MSG_NEWSET) && number == 0) number = addElements(message);
    return number == 0 ? addRules(known) : number;
  }
  std::string take() { return std::move(text_); }

 private:
  using Chain = std::tuple<uint8_t, std::string, std::string>;

  int add(uint16_t kind) {
    NetlinkMessage question = questionAbout(kind, AF_UNSPEC);
    return ask(question, [this](std::string_view told) { keep(nfTablesRenewal(told, ++setId_)); });
  }

  /** Told from the last to the first, in which order they are not taken. */
  int addElements(const RouteMessage& set) {
    auto table = set.attribute<nfgenmsg>(NFTA_SET_TABLE), name = set.attribute<nfgenmsg>(NFTA_SET_NAME);
    if (!table || !name) return EPROTO;
    NetlinkMessage question = questionAbout(NFT_MSG_GETSETELEM, set.header<nfgenmsg>().nfgen_family);
    question.attribute(NFTA_SET_ELEM_LIST_TABLE, table->text());
    question.attribute(NFTA_SET_ELEM_LIST_SET, name->text());
    std::vector<std::string> pieces;
    const int number = ask(question, [&](std::string_view told) {
      auto elements = RouteMessage(told).attribute<nfgenmsg>(NFTA_SET_ELEM_LIST_ELEMENTS);
      auto renewed = elements && !elements->data.empty() ? nfTablesRenewal(told, 0) : std::nullopt;
      if (renewed) pieces.push_back(std::move(*renewed));
    });
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) keep(std::move(*piece));
    return number;
  }

  /** Chains without a name (`jump { … }`) first: they take no rules when another's rule leads there already, which one of theirs never does. */
  int addRules(std::string_view known) {
    std::set<Chain> closed;
    for (const RouteMessage& message : splitMessages(known))
      if (auto flags = message.attribute<nfgenmsg>(NFTA_CHAIN_FLAGS);
          message.type() == typeOf(NFT_MSG_NEWCHAIN) && flags && (networkNumber(flags->data) & NFT_CHAIN_BINDING))
        closed.insert(chainOf(message, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME));
    std::string others;
    NetlinkMessage question = questionAbout(NFT_MSG_GETRULE, AF_UNSPEC);
    const int number = ask(question, [&](std::string_view told) {
      auto renewed = nfTablesRenewal(told, 0);
      if (closed.empty() || !renewed || closed.contains(chainOf(RouteMessage(told), NFTA_RULE_TABLE, NFTA_RULE_CHAIN))) keep(std::move(renewed));
      else others += *renewed;
    });
    text_ += others;
    return number;
  }

  static Chain chainOf(const RouteMessage& message, uint16_t table, uint16_t name) {
    auto first = message.attribute<nfgenmsg>(table), second = message.attribute<nfgenmsg>(name);
    return {message.header<nfgenmsg>().nfgen_family, first ? first->text() : "", second ? second->text() : ""};
  }

  static NetlinkMessage questionAbout(uint16_t kind, uint8_t family) {
    NetlinkMessage question(typeOf(kind), NLM_F_DUMP);
    question.header(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
    return question;
  }

  int ask(NetlinkMessage& question, const std::function<void(std::string_view)>& take) {
    const auto& bytes = question.finish();
    if (int number = kernel_.send({bytes.data(), bytes.size()}); number != 0) return number;
    size_t size = 0;
    bool hasChanged = false;
    return kernel_.receive([&](std::string_view told) -> std::optional<int> {
      const nlmsghdr head = headOf(told);
      hasChanged = hasChanged || (head.nlmsg_flags & NLM_F_DUMP_INTR);
      if (head.nlmsg_type == NLMSG_ERROR) return netlinkResult(told).value_or(EPROTO);
      if (head.nlmsg_type == NLMSG_DONE) return hasChanged ? EINTR : resultOf(told);
      // Of the whole ruleset, in every answer: it is of one piece.
      const uint16_t generation = RouteMessage(told).header<nfgenmsg>().res_id;
      hasChanged = hasChanged || generation_.value_or(generation) != generation;
      generation_ = generation;
      size += told.size();
      if (size > mostBytes || text_.size() > mostBytes) return EFBIG;
      take(told);
      return std::nullopt;
    });
  }

  /** Of a dump that has ended: 0 or an errno. */
  static int resultOf(std::string_view done) {
    int result = 0;
    if (done.size() >= NLMSG_HDRLEN + sizeof result) memcpy(&result, done.data() + NLMSG_HDRLEN, sizeof result);
    return result < 0 ? -result : 0;
  }

  void keep(std::optional<std::string> message) {
    if (message) text_ += *message;
  }

  Conversation& kernel_;
  std::optional<uint16_t> generation_;
  uint32_t setId_ = 0;
  std::string text_;
};

uint16_t flagsOf(uint16_t type) {
  if (type == typeOf(NFT_MSG_NEWRULE)) return NLM_F_CREATE | NLM_F_APPEND;
  // The kernel may tell an element twice, if it makes room in the set meanwhile.
  if (type == typeOf(NFT_MSG_NEWSETELEM)) return NLM_F_CREATE;
  return NLM_F_CREATE | NLM_F_EXCL;
}

void addToBatch(std::string& batch, std::string_view message, uint16_t flags, uint32_t sequence) {
  nlmsghdr head = headOf(message);
  head.nlmsg_flags = NLM_F_REQUEST | flags;
  head.nlmsg_seq = sequence;
  head.nlmsg_pid = 0;
  batch.append(reinterpret_cast<const char*>(&head), sizeof head);
  batch.append(message.substr(sizeof head));
  batch.resize(NLMSG_ALIGN(batch.size()));
}

void addBorder(std::string& batch, uint16_t type, uint32_t sequence) {
  NetlinkMessage border(type, 0);
  border.header(nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)});
  const auto& bytes = border.finish();
  addToBatch(batch, {bytes.data(), bytes.size()}, 0, sequence);
}

/** The last message is answered when all is done, after all that is refused. */
std::string batchOf(const std::vector<std::string_view>& messages) {
  std::string batch;
  uint32_t sequence = firstSequence;
  addBorder(batch, NFNL_MSG_BATCH_BEGIN, sequence);
  for (const std::string_view& message : messages) {
    const uint16_t wanted = &message == &messages.back() ? NLM_F_ACK : 0;
    addToBatch(batch, message, flagsOf(RouteMessage(message).type()) | wanted, ++sequence);
  }
  addBorder(batch, NFNL_MSG_BATCH_END, ++sequence);
  return batch;
}

}  // namespace

Result<std::string> dumpNfTables(int networkNamespace) {
  auto kernel = converse(networkNamespace);
  // This kernel has no netfilter.
  if (!kernel.ok() && errno == EPROTONOSUPPORT) return std::string();
  if (!kernel.ok()) return kernel.error();
  Dump dump(kernel.value());
  int number = EINTR;
  for (int attempt = 0; attempt < attempts && number == EINTR; attempt++) number = dump.all();
  if (number != 0) return errnoError("read the container's nftables", number);
  return dump.take();
}

Status loadNfTables(int networkNamespace, std::string_view dump) {
  if (dump.empty()) return {};
  const auto messages = splitNfTables(dump);
  if (!messages || dump.size() > mostBytes) return engineError("what came as the nftables of a container is not that");
  DROVER_TRY_ASSIGN(kernel, converse(networkNamespace));
  const std::string batch = batchOf(*messages);
  kernel.makeRoom(batch.size());
  if (int number = kernel.send(batch); number != 0) return errnoError("set the container's nftables", number);
  const uint32_t last = firstSequence + static_cast<uint32_t>(messages->size());
  std::string subject;
  const int number = kernel.receive([&](std::string_view answer) -> std::optional<int> {
    const uint32_t sequence = headOf(answer).nlmsg_seq;
    const int result = netlinkResult(answer).value_or(0);
    if (result == 0) return sequence == last ? std::optional(0) : std::nullopt;
    // One refusal is enough: nothing of the batch is there then.
    if (sequence > firstSequence && sequence <= last) subject = ", " + nfTablesSubject((*messages)[sequence - firstSequence - 1]);
    return result;
  });
  return number == 0 ? Status() : errnoError("set the container's nftables" + subject, number);
}

}  // namespace drover
