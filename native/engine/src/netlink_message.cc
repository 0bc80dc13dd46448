// rtnetlink requests. See netlink_message.h.
#include "netlink_message.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace drover {

NetlinkMessage::NetlinkMessage(uint16_t type, uint16_t flags) {
  nlmsghdr head = {};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  head.nlmsg_seq = 1;
  append(&head, sizeof head);
}

void NetlinkMessage::append(const void* data, size_t size) {
  size_t start = bytes_.size();
  bytes_.resize(start + NLMSG_ALIGN(size));
  if (size > 0) memcpy(bytes_.data() + start, data, size);
}

void NetlinkMessage::attribute(uint16_t type, const void* data, size_t size) {
  rtattr head = {};
  head.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  head.rta_type = type;
  append(&head, sizeof head);
  append(data, size);
}

size_t NetlinkMessage::open(uint16_t type) {
  size_t start = bytes_.size();
  rtattr head = {};
  head.rta_type = type;
  append(&head, sizeof head);
  return start;
}

void NetlinkMessage::close(size_t opened) {
  reinterpret_cast<rtattr*>(bytes_.data() + opened)->rta_len = static_cast<uint16_t>(bytes_.size() - opened);
}

const std::vector<char>& NetlinkMessage::finish() {
  reinterpret_cast<nlmsghdr*>(bytes_.data())->nlmsg_len = static_cast<uint32_t>(bytes_.size());
  return bytes_;
}

Result<UniqueFd> socketInside(int networkNamespace, int family, int type, int protocol) {
  if (networkNamespace < 0) {
    UniqueFd fd(socket(family, type | SOCK_CLOEXEC, protocol));
    if (!fd.valid()) return errnoError("open network socket");
    return fd;
  }
  UniqueFd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own.valid()) return errnoError("open own network namespace");
  if (setns(networkNamespace, CLONE_NEWNET) != 0) return errnoError("enter network namespace of the container");
  UniqueFd fd(socket(family, type | SOCK_CLOEXEC, protocol));
  int number = errno;
  // A worker that stayed in a container's network would do the next container's work there: rather crash.
  if (setns(own.get(), CLONE_NEWNET) != 0) {
    perror("drover-engine: return to own network namespace");
    abort();
  }
  if (!fd.valid()) return errnoError("open network socket in the container", number);
  return fd;
}

Result<NetlinkSocket> NetlinkSocket::open(int networkNamespace) {
  DROVER_TRY_ASSIGN(fd, socketInside(networkNamespace, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  NetlinkSocket socket;
  socket.socket_ = std::move(fd);
  return socket;
}

namespace {

/**
 * The kernel has one lock for all network configuration (rtnl_mutex); who waits for it spins while its owner runs, which on a host with
 * few processors takes from the others what they would start containers with. So the engine's threads sleep until it is their turn. But
 * whoever removes a link waits in the kernel for others to let go of it, most of that without the lock.
 */
std::unique_lock<std::mutex> takeTurn(uint16_t type) {
  static std::mutex turn;
  return type == RTM_DELLINK ? std::unique_lock<std::mutex>() : std::unique_lock(turn);
}

}  // namespace

int NetlinkSocket::indexOf(const std::string& name) const {
  ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name.c_str());
  // What the socket's own protocol has no answer to, the network devices have.
  return ioctl(socket_.get(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

int NetlinkSocket::request(NetlinkMessage& message) {
  const auto& bytes = message.finish();
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  auto turn = takeTurn(reinterpret_cast<const nlmsghdr*>(bytes.data())->nlmsg_type);
  ssize_t sent = sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return errno;
  char answer[8192];
  for (;;) {
    ssize_t count = recv(socket_.get(), answer, sizeof answer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (auto result = netlinkResult({answer, static_cast<size_t>(count)})) return *result;
  }
}

int NetlinkSocket::dump(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& take) {
  const auto& bytes = message.finish();
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) return errno;
  // The kernel fills what it is offered, up to this.
  std::vector<char> answer(32 << 10);
  for (;;) {
    ssize_t count = recv(socket_.get(), answer.data(), answer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    auto left = static_cast<unsigned>(count);
    for (auto* head = reinterpret_cast<const nlmsghdr*>(answer.data()); NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_type == NLMSG_DONE) return 0;
      if (head->nlmsg_type == NLMSG_ERROR) return netlinkResult({reinterpret_cast<const char*>(head), head->nlmsg_len}).value_or(EPROTO);
      take(*head);
    }
  }
}

std::optional<int> netlinkResult(std::string_view answer) {
  nlmsghdr head;
  nlmsgerr result;
  if (answer.size() < sizeof head + sizeof result) return EPROTO;
  memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_type != NLMSG_ERROR) return {};
  memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
  // Zero, or a negative errno (4,095 at most).
  return result.error > 0 || result.error < -4095 ? EPROTO : -result.error;
}

}  // namespace drover
