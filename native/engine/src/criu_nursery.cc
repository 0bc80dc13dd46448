// See criu_nursery.h; unix(7), SCM_RIGHTS.
#include "criu_nursery.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "criu_start.h"
#include "log.h"
#include "unique_fd.h"

namespace drover {
namespace {

/** For the first answer CRIU is loaded before. */
constexpr int answerDeadlineMs = 2000;
/** A CRIU that is no nursery takes the first order for a request and ends. */
constexpr int mostFailures = 3;
constexpr size_t mostDescriptors = 2;

struct Nursery {
  pid_t pid = 0;
  UniqueFd orders;
  int failures = 0;
};
Nursery nursery;

bool begin(const std::string& binary) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return false;
  UniqueFd ours(pair[0]), theirs(pair[1]);
  nursery.pid = startCriu(binary, {theirs.get()}, {"DROVER_CRIU_NURSERY=yes"});
  nursery.orders = std::move(ours);
  return nursery.pid > 0;
}

void giveUp() {
  nursery.orders.reset();
  if (nursery.pid > 0) {
    kill(nursery.pid, SIGKILL);
    while (waitpid(nursery.pid, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  nursery.pid = 0;
  if (++nursery.failures == mostFailures) logLine("warn", "no CRIU can be kept warm: each move starts its own");
}

bool order(const std::vector<int>& descriptors, const std::vector<std::string>& environment) {
  std::string text;
  for (const auto& line : environment) text += line + '\0';
  iovec part = {text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(mostDescriptors * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  return sendmsg(nursery.orders.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/** The pid of the copy, -1: none. */
pid_t answer() {
  pollfd entry = {nursery.orders.get(), POLLIN, 0};
  int count;
  do count = poll(&entry, 1, answerDeadlineMs);
  while (count < 0 && errno == EINTR);
  pid_t pid = -1;
  return count == 1 && recv(nursery.orders.get(), &pid, sizeof pid, 0) == sizeof pid ? pid : -1;
}

}  // namespace

pid_t copyWarmCriu(const std::string& binary, const std::vector<int>& descriptors, const std::vector<std::string>& environment) {
  if (nursery.failures >= mostFailures || !haveQuickLibrary() || environment.empty() || descriptors.size() > mostDescriptors) return -ENOTSUP;
  if (nursery.pid == 0 && !begin(binary)) {
    giveUp();
    return -ECHILD;
  }
  const pid_t pid = order(descriptors, environment) ? answer() : -1;
  if (pid > 0) nursery.failures = 0;
  else giveUp();
  return pid > 0 ? pid : -ECHILD;
}

}  // namespace drover
