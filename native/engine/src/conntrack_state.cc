// See conntrack_state.h; conntrack_message.h has what is in the messages.
#include "conntrack_state.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <functional>

#include "conntrack_message.h"
#include "netlink_message.h"

namespace drover {

namespace {

constexpr size_t largestDump = 64 << 20;
/** Sent at once. The kernel answers while they are sent, so this many refusals must have room in a socket. */
constexpr size_t batchMessages = 64, batchBytes = 64 << 10;
constexpr size_t answerBytes = 64 << 10;
constexpr timeval deadline = {.tv_sec = 5, .tv_usec = 0};
constexpr int mostDumps = 5;
/** A connection that another one expected needs that one first; so does an expectation. Few protocols have more than two levels. */
constexpr int mostRounds = 4;
/** Without it the kernel has no connection tracking, and asking would load it. */
constexpr const char* trackingFile = "/proc/sys/net/netfilter/nf_conntrack_count";

Result<UniqueFd> openNetfilter(int networkNamespace) {
  DROVER_TRY_ASSIGN(socket, socketInside(networkNamespace, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) != 0) return errnoError("limit the wait for conntrack");
  const int brief = 1;
  // Refusals without what was refused.
  if (setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &brief, sizeof brief) != 0) return errnoError("shorten answers of conntrack");
  return socket;
}

/** 0 or an errno. */
int sendAll(int socket, const char* bytes, size_t size) {
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  return sendto(socket, bytes, size, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) == static_cast<ssize_t>(size) ? 0 : errno;
}

/** Each message that comes, until `take` says that it was the last. 0 or an errno. */
int receive(int socket, const std::function<bool(const nlmsghdr&, std::string_view)>& take) {
  std::vector<char> buffer(answerBytes);
  for (;;) {
    const ssize_t count = recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    auto left = static_cast<unsigned>(count);
    for (auto* head = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(head, left); head = NLMSG_NEXT(head, left))
      if (take(*head, {reinterpret_cast<const char*>(head), head->nlmsg_len})) return 0;
  }
}

/** 0 or the errno that a dump ended with. */
int dumpResult(std::string_view done) {
  int result = 0;
  if (done.size() >= NLMSG_HDRLEN + sizeof result) memcpy(&result, done.data() + NLMSG_HDRLEN, sizeof result);
  return result < 0 ? -result : 0;
}

/** Hands over each answer. 0 or an errno; EINTR: what was asked for changed meanwhile. */
int ask(int socket, uint16_t type, uint16_t flags, const std::function<void(std::string_view)>& take) {
  NetlinkMessage message(type, flags);
  message.header(nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = 0});
  const auto& bytes = message.finish();
  if (int number = sendAll(socket, bytes.data(), bytes.size()); number != 0) return number;
  int result = 0;
  bool interrupted = false;
  const int number = receive(socket, [&](const nlmsghdr& head, std::string_view whole) {
    if (head.nlmsg_flags & NLM_F_DUMP_INTR) interrupted = true;
    if (head.nlmsg_type == NLMSG_ERROR) result = netlinkResult(whole).value_or(EPROTO);
    else if (head.nlmsg_type == NLMSG_DONE) result = dumpResult(whole);
    else take(whole);
    return head.nlmsg_type == NLMSG_ERROR || head.nlmsg_type == NLMSG_DONE;
  });
  if (number != 0) return number;
  return result == 0 && interrupted ? EINTR : result;
}

/** The kernel has one table for all namespaces, which a dump goes through: so it is asked first whether anything is of this one. */
Result<bool> hasConnections(int socket) {
  uint32_t count = 0;
  const int number = ask(socket, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, 0, [&](std::string_view answer) {
    rtattr head;
    constexpr size_t start = NLMSG_HDRLEN + sizeof(nfgenmsg);
    if (answer.size() < start + sizeof head + sizeof count) return;
    memcpy(&head, answer.data() + start, sizeof head);
    if ((head.rta_type & NLA_TYPE_MASK) == CTA_STATS_GLOBAL_ENTRIES) memcpy(&count, answer.data() + start + sizeof head, sizeof count);
  });
  if (number != 0) return errnoError("count tracked connections", number);
  return count != 0;
}

/** Adds them to the dump. */
Status dumpAll(int socket, uint16_t type, std::string& dump) {
  const size_t before = dump.size();
  int number = EINTR;
  for (int tries = 0; tries < mostDumps && number == EINTR; ++tries) {
    dump.resize(before);
    number = ask(socket, type, NLM_F_DUMP, [&](std::string_view answer) {
      if (dump.size() > largestDump) return;
      if (auto message = conntrackRenewal(answer)) dump += *message;
    });
  }
  if (number == 0 && dump.size() > largestDump) number = EFBIG;
  return number == 0 ? Status() : errnoError("read tracked connections", number);
}

/** Sends some of the messages, from `next` on, which it moves. Adds those that the kernel refused. 0 or an errno. */
int sendBatch(int socket, const std::vector<std::string_view>& messages, size_t& next, std::vector<std::string_view>& refused) {
  std::string batch;
  const size_t first = next;
  size_t last = 0;
  for (; next < messages.size() && next - first < batchMessages && (next == first || batch.size() + messages[next].size() <= batchBytes); ++next) {
    last = batch.size();
    batch += messages[next];
    auto* head = reinterpret_cast<nlmsghdr*>(batch.data() + last);
    head->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
    head->nlmsg_seq = static_cast<uint32_t>(next);
    head->nlmsg_pid = 0;
  }
  reinterpret_cast<nlmsghdr*>(batch.data() + last)->nlmsg_flags |= NLM_F_ACK;
  if (int number = sendAll(socket, batch.data(), batch.size()); number != 0) return number;
  return receive(socket, [&](const nlmsghdr& head, std::string_view whole) {
    const int number = netlinkResult(whole).value_or(0);
    if (number != 0 && number != EEXIST && head.nlmsg_seq >= first && head.nlmsg_seq < next) refused.push_back(messages[head.nlmsg_seq]);
    return head.nlmsg_type == NLMSG_ERROR && head.nlmsg_seq == next - 1;
  });
}

}  // namespace

Result<std::string> dumpConntrack(int networkNamespace) {
  std::string dump;
  if (access(trackingFile, F_OK) != 0) return dump;
  DROVER_TRY_ASSIGN(socket, openNetfilter(networkNamespace));
  DROVER_TRY_ASSIGN(any, hasConnections(socket.get()));
  if (!any) return dump;
  DROVER_TRY(dumpAll(socket.get(), NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, dump));
  DROVER_TRY(dumpAll(socket.get(), NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_GET, dump));
  return dump;
}

Result<int> loadConntrack(int networkNamespace, std::string_view dump) {
  auto messages = splitConntrack(dump);
  if (!messages || dump.size() > largestDump) return engineError("what came as the tracked connections of a container is not that");
  if (messages->empty()) return 0;
  DROVER_TRY_ASSIGN(socket, openNetfilter(networkNamespace));
  for (int round = 0; round < mostRounds && !messages->empty(); ++round) {
    std::vector<std::string_view> refused;
    for (size_t next = 0; next < messages->size();)
      if (int number = sendBatch(socket.get(), *messages, next, refused); number != 0) return errnoError("set tracked connections", number);
    if (refused.size() == messages->size()) break;
    messages = std::move(refused);
  }
  return static_cast<int>(messages->size());
}

}  // namespace drover
