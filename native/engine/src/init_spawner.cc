// See init_spawner.h; clone3(2). The spawner may itself be forked beside threads: it calls only what is async-signal-safe and allocates
// nothing. A request is a head with the descriptors, then a filter of its own if it has one, then the strings of the plan, each ended by a
// zero byte.
#include "init_spawner.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "child_setup.h"
#include "empty_namespace.h"

namespace drover {

namespace {

constexpr int answerDeadlineMs = 20'000;
/** A request came in one frame of the engine's socket, which is smaller; untouched pages cost nothing. */
constexpr size_t mostText = 4 << 20;
constexpr uint32_t mostStrings = 1024;
constexpr size_t mostResourceLimits = RLIM_NLIMITS;
/** The init's end of its socket, its cgroup2, the files of v1's hierarchies. */
constexpr size_t mostDescriptors = 64;
/** Where the spawner has its own socket; what comes in a request follows. */
constexpr int ownSocket = 3;

/** Fields without pointers go as they are; pointers are made anew by the spawner. */
static_assert(std::is_trivially_copyable_v<InitPlan> && std::is_trivially_copyable_v<ResourceLimit>);

struct Head {
  InitPlan plan;
  uint64_t namespaces;
  uint32_t descriptors;
  uint32_t arguments, variables;
  size_t resourceLimitCount;
  ResourceLimit resourceLimits[mostResourceLimits];
  bool intoCgroup;
  /** Instructions of a filter that is not the usual one. */
  uint32_t filterLength;
  size_t textBytes;
};

struct Answer {
  /** Or a negative errno. */
  int32_t pid;
};

struct Request {
  Head head;
  int descriptors[mostDescriptors];
  char* strings[mostStrings + 2];
  alignas(sock_filter) char text[mostText];
};

union DescriptorSpace {
  cmsghdr head;
  char bytes[CMSG_SPACE(sizeof(int) * mostDescriptors)];
};

bool readAll(int socket, void* to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t count = recv(socket, static_cast<char*>(to) + done, size - done, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

int writeAll(int socket, const char* from, size_t size) {
  while (size > 0) {
    ssize_t count = send(socket, from, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    from += count;
    size -= static_cast<size_t>(count);
  }
  return 0;
}

/** In the spawner. False: the engine has ended. */
bool receive(int socket, Request& request) {
  DescriptorSpace space;
  iovec vector = {&request.head, sizeof request.head};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = sizeof space;
  ssize_t count;
  do count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  const size_t received = static_cast<size_t>(count);
  if (received < sizeof request.head && !readAll(socket, reinterpret_cast<char*>(&request.head) + received, sizeof request.head - received)) return false;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  const size_t bytes = request.head.descriptors * sizeof(int);
  if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(bytes) || request.head.textBytes > mostText) return false;
  memcpy(request.descriptors, CMSG_DATA(head), bytes);
  return readAll(socket, request.text, request.head.textBytes);
}

/** In the spawner, and for the child that is cloned next: the plan with its own descriptors and strings. */
void unpack(Request& request) {
  Head& head = request.head;
  InitPlan& plan = head.plan;
  char* next = request.text + head.filterLength * sizeof(sock_filter);
  auto take = [&next] {
    char* string = next;
    next += strlen(next) + 1;
    return string;
  };
  plan.hostname = take();
  char** string = request.strings;
  plan.arguments = string;
  for (uint32_t i = 0; i < head.arguments; ++i) *string++ = take();
  *string++ = nullptr;
  plan.environment = string;
  for (uint32_t i = 0; i < head.variables; ++i) *string++ = take();
  *string = nullptr;
  plan.rlimits = {head.resourceLimits, head.resourceLimitCount};
  plan.seccomp = {reinterpret_cast<const sock_filter*>(request.text), head.filterLength};
  plan.sync = request.descriptors[0];
  const uint32_t tasks = head.intoCgroup ? 2 : 1;
  plan.taskFiles = request.descriptors + tasks;
  plan.taskFileCount = static_cast<int>(head.descriptors - tasks);
}

/** `mounts`: the namespace that its inits have copies of. `seccomp`: what they inherit; empty for none. */
[[noreturn]] void serve(int socket, int mounts, std::span<const sock_filter> seccomp) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (setns(mounts, CLONE_NEWNS) != 0) _exit(1);
  prctl(PR_SET_NAME, "drover-spawner");
  // Nothing of the engine's stays open here: not the lock on its state, nor its sockets.
  if (dup3(socket, ownSocket, O_CLOEXEC) < 0 && errno != EINVAL) _exit(1);
  syscall(SYS_close_range, ownSocket + 1, ~0U, 0);
  void* memory = mmap(nullptr, sizeof(Request), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  Request& request = *static_cast<Request*>(memory);
  if (installSeccomp(seccomp) != 0) _exit(1);
  while (receive(ownSocket, request)) {
    unpack(request);
    ForkResult child = forkInto(request.head.namespaces | CLONE_PARENT, request.head.intoCgroup ? request.descriptors[1] : -1);
    if (child.pid == 0) {
      close(ownSocket);
      runInit(request.head.plan);
    }
    // Or nobody would see when the init closes its end.
    syscall(SYS_close_range, ownSocket + 1, ~0U, 0);
    Answer answer = {child.pid};
    if (writeAll(ownSocket, reinterpret_cast<const char*>(&answer), sizeof answer) != 0) break;
  }
  _exit(0);
}

uint32_t countStrings(char* const* strings) {
  uint32_t count = 0;
  while (strings[count]) ++count;
  return count;
}

}  // namespace

InitSpawner::~InitSpawner() {
  for (auto& process : idle_) end(process);
}

Status InitSpawner::begin(size_t processes) {
  DROVER_TRY_ASSIGN(mounts, makeEmptyNamespace());
  mounts_ = std::move(mounts);
  for (size_t at = 0; at <= processes; ++at) {
    Process process;
    process.filtered = at < processes;
    DROVER_TRY(start(process));
    idle_.push_back(std::move(process));
  }
  return {};
}

Status InitSpawner::start(Process& process) const {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errnoError("make the spawner's socket");
  UniqueFd ours(pair[0]), theirs(pair[1]);
  ForkResult child = forkInto(0, -1);
  if (child.pid == 0) serve(theirs.get(), mounts_.get(), process.filtered ? std::span(seccomp_.instructions) : std::span<const sock_filter>());
  if (child.pid < 0) return errnoError("fork the spawner of inits", -child.pid);
  close(child.pidfd);
  process.socket = std::move(ours);
  process.pid = child.pid;
  return {};
}

void InitSpawner::end(Process& process) {
  if (process.pid == 0) return;
  process.socket.reset();
  kill(process.pid, SIGKILL);
  while (waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  process.pid = 0;
}

InitSpawner::Process InitSpawner::take(bool filtered) {
  std::unique_lock lock(mutex_);
  std::vector<Process>::iterator found;
  free_.wait(lock, [&] {
    found = std::find_if(idle_.begin(), idle_.end(), [&](const Process& process) { return process.filtered == filtered; });
    return found != idle_.end();
  });
  Process process = std::move(*found);
  idle_.erase(found);
  return process;
}

void InitSpawner::giveBack(Process process) {
  {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(process));
  }
  // Who waits may wait for another kind.
  free_.notify_all();
}

Result<pid_t> InitSpawner::spawn(const InitPlan& plan, uint64_t namespaces, int cgroupDirectory) {
  Head head = {};
  head.plan = plan;
  head.namespaces = namespaces;
  head.arguments = countStrings(plan.arguments);
  head.variables = countStrings(plan.environment);
  head.intoCgroup = cgroupDirectory >= 0;
  head.resourceLimitCount = std::min(plan.rlimits.size(), mostResourceLimits);
  std::copy_n(plan.rlimits.begin(), head.resourceLimitCount, head.resourceLimits);
  std::vector<int> descriptors = {plan.sync};
  if (head.intoCgroup) descriptors.push_back(cgroupDirectory);
  descriptors.insert(descriptors.end(), plan.taskFiles, plan.taskFiles + plan.taskFileCount);
  head.descriptors = static_cast<uint32_t>(descriptors.size());
  head.filterLength = static_cast<uint32_t>(plan.seccomp.size());
  std::string text(reinterpret_cast<const char*>(plan.seccomp.data()), plan.seccomp.size_bytes());
  auto put = [&text](const char* string) { text.append(string, strlen(string) + 1); };
  put(plan.hostname);
  for (uint32_t i = 0; i < head.arguments; ++i) put(plan.arguments[i]);
  for (uint32_t i = 0; i < head.variables; ++i) put(plan.environment[i]);
  head.textBytes = text.size();
  if (text.size() > mostText || head.arguments + head.variables > mostStrings || descriptors.size() > mostDescriptors || plan.rlimits.size() > mostResourceLimits)
    return engineError("start an init: its arguments and environment are over the limit");

  DescriptorSpace space = {};
  iovec vector = {&head, sizeof head};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
  memcpy(CMSG_DATA(control), descriptors.data(), sizeof(int) * descriptors.size());

  Process process = take(plan.seccomp.empty());
  auto spawned = ask(process, message, text);
  giveBack(std::move(process));
  return spawned;
}

Result<pid_t> InitSpawner::ask(Process& process, msghdr& message, const std::string& text) const {
  if (process.pid == 0) DROVER_TRY(start(process));
  auto sendHead = [&] { return sendmsg(process.socket.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(Head)) ? 0 : errno; };
  int failure = sendHead();
  if (failure == EPIPE || failure == ECONNRESET) {
    // It was killed since the last start.
    end(process);
    DROVER_TRY(start(process));
    failure = sendHead();
  }
  if (failure == 0) failure = writeAll(process.socket.get(), text.data(), text.size());
  pollfd entry = {process.socket.get(), POLLIN, 0};
  int readable = 0;
  if (failure == 0) do readable = poll(&entry, 1, answerDeadlineMs);
  while (readable < 0 && errno == EINTR);
  Answer answer = {};
  if (failure == 0 && readable > 0 && readAll(process.socket.get(), &answer, sizeof answer)) {
    if (answer.pid > 0) return static_cast<pid_t>(answer.pid);
    return errnoError("clone namespaces", -answer.pid);
  }
  // A child that it may have made finds nobody at the other end of its socket, and ends.
  end(process);
  return failure != 0 ? errnoError("ask the spawner of inits", failure) : engineError("the spawner of inits ended, or did not answer");
}

}  // namespace drover
