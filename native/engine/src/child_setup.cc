// What runs between fork and execve. See child_setup.h.
#include "child_setup.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace drover {

ForkResult forkInto(uint64_t cloneFlags, int cgroupDirectory) {
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = cloneFlags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  // A sibling has that of the one who forks.
  arguments.exit_signal = cloneFlags & CLONE_PARENT ? 0 : SIGCHLD;
  if (cgroupDirectory >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(cgroupDirectory);
  }
  long result = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (result < 0) return {static_cast<pid_t>(-errno), -1};
  return {static_cast<pid_t>(result), pidfd};
}

void becomePlainProcess() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // CLONE_CLEAR_SIGHAND has reset the handlers; what the engine ignores is left.
  struct sigaction plain = {};
  plain.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

int joinTasks(const int* files, int count) {
  for (int i = 0; i < count; ++i)
    if (write(files[i], "0", 1) != 1) return errno;
  return 0;
}

int becomeUser(uid_t uid, gid_t gid, const gid_t* groups, size_t groupCount) {
  if (syscall(SYS_setgroups, groupCount, groups) != 0) return errno;
  if (syscall(SYS_setresgid, gid, gid, gid) != 0) return errno;
  if (syscall(SYS_setresuid, uid, uid, uid) != 0) return errno;
  return 0;
}

namespace {

struct DescriptorMessage {
  char byte = 0;
  iovec vector = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * mostSentDescriptors)] = {};
  msghdr message = {};
  explicit DescriptorMessage(size_t descriptors) {
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
  }
};

}  // namespace

int sendDescriptors(int socket, std::span<const int> descriptors) {
  if (descriptors.size() > mostSentDescriptors) return E2BIG;
  DescriptorMessage sent(descriptors.size());
  cmsghdr* head = CMSG_FIRSTHDR(&sent.message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size_bytes());
  return sendmsg(socket, &sent.message, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

int receiveDescriptors(int socket, std::span<int> descriptors) {
  DescriptorMessage received(std::min<size_t>(descriptors.size(), mostSentDescriptors));
  ssize_t count;
  do count = recvmsg(socket, &received.message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  cmsghdr* head = CMSG_FIRSTHDR(&received.message);
  if (count != 1 || !head || head->cmsg_type != SCM_RIGHTS) return -1;
  const size_t bytes = std::min(head->cmsg_len - CMSG_LEN(0), descriptors.size_bytes());
  memcpy(descriptors.data(), CMSG_DATA(head), bytes);
  return static_cast<int>(bytes / sizeof(int));
}

void reportFailure(int socket, int stage, int number) {
  ChildFailure failure = {stage, number};
  send(socket, &failure, sizeof failure, MSG_NOSIGNAL);
  _exit(127);
}

}  // namespace drover
