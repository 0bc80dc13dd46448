#include "criu_client.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "criu_answer.h"
#include "criu_nursery.h"
#include "criu_request.h"
#include "criu_start.h"
#include "criu_rpc.pb-c.h"

namespace drover {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int childGate = 4;
/** Largest message either way; CRIU's own buffers are smaller. */
constexpr size_t maximumMessage = 64 * 1024;
/** How long CRIU may take to exit after its final answer. */
constexpr std::chrono::milliseconds exitGrace{2000};
/** Errors are few; a log of level 4 is read this far. */
constexpr size_t largestLog = 16 << 20;
/** How long CRIU may take to undo a dump that is given up. */
constexpr std::chrono::milliseconds undoGrace{10'000};

int millisecondsUntil(Clock::time_point until) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

/**
 * Waits until `fd` can be read. 1: it can, 0: the time is over, -1: error, or `process` (a pidfd; -1: none) has ended and nothing is
 * left to read. The socket alone does not tell the end: CRIU's children hold it too.
 */
int waitReadable(int fd, int process, Clock::time_point until) {
  for (;;) {
    pollfd entries[] = {{fd, POLLIN, 0}, {process, POLLIN, 0}};
    int count = poll(entries, 2, millisecondsUntil(until));
    if (count == 0) return 0;
    if (count > 0) return entries[0].revents != 0 ? 1 : -1;
    if (errno != EINTR) return -1;
  }
}

/** CRIU's own preparations for a dump, of a few milliseconds. */
constexpr std::chrono::milliseconds gateDeadline{5'000};
/** Lifted when a CRIU was seen to go past its gate: then nobody waits there any more, and containers are stopped before it is asked. */
std::atomic<bool> gatesWork = true;

/** Every CRIU that has a CriuProcess; held while one is started, so that endOrphans sees none that is not in there yet. */
std::mutex runningMutex;
std::set<pid_t> running;

/**
 * What a killed CRIU had started becomes the engine's children (it is a subreaper): helpers, and a half-made root of a tree that is
 * not in the container's cgroups yet. They are ended and reaped here. A task that is in those cgroups has left CRIU's session,
 * has a PID namespace of its own, and is not this function's business.
 */
void endOrphans(pid_t session) {
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/ns/pid", ignored);
  std::lock_guard lock(runningMutex);
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::ifstream children(thread.path() / "children");
    for (pid_t pid; children >> pid;) {
      const std::filesystem::path process = "/proc/" + std::to_string(pid);
      std::ifstream nameFile(process / "comm");
      std::string name;
      if (!(nameFile >> name) || name != "criu" || running.contains(pid)) continue;
      // The link of a zombie can't be read any more: then it holds nothing and only wants to be reaped.
      const auto theirs = std::filesystem::read_symlink(process / "ns/pid", ignored);
      if (!theirs.empty() && theirs != own && getsid(pid) != session) continue;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, __WALL);
    }
  }
}

/** The word that lets CRIU pass its gate, and a descriptor with it; -1: none. */
bool letIn(int gate, int descriptor) {
  char goOn = 'r';
  iovec byte = {&goOn, 1};
  msghdr message = {};
  message.msg_iov = &byte;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char given[CMSG_SPACE(sizeof descriptor)] = {};
  if (descriptor >= 0) {
    message.msg_control = given;
    message.msg_controllen = sizeof given;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return sendmsg(gate, &message, MSG_NOSIGNAL) == 1;
}

std::string describeEnd(int status) {
  if (status == -1) return "criu ended";
  if (WIFSIGNALED(status)) return "criu was killed by signal " + std::to_string(WTERMSIG(status));
  return "criu exited with " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::unique_ptr<CriuProcess> CriuProcess::spawn(const std::string& binary, std::string& error, const CriuHints& hints) {
  // Twice, for the one that is copied may have been killed; with sockets of its own each time, for a copy of it may be there, unknown to us.
  for (int tries = 0; hints.ofMove && tries < 2; tries++)
    if (auto criu = start(binary, error, hints, copyWarmCriu)) return criu;
  return start(binary, error, hints, startCriu);
}

std::unique_ptr<CriuProcess> CriuProcess::start(const std::string& binary, std::string& error, const CriuHints& hints, CriuStart* way) {
  int pair[2], gate[2] = {-1, -1};
  if (hints.gated && gatesWork && haveQuickLibrary() && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) != 0) {
    error = std::string("socketpair for criu: ") + strerror(errno);
    return nullptr;
  }
  UniqueFd ownGate(gate[0]), theirGate(gate[1]);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    error = std::string("socketpair for criu: ") + strerror(errno);
    return nullptr;
  }
  UniqueFd ownSocket(pair[0]), theirSocket(pair[1]);
  std::vector<int> descriptors = {theirSocket.get()};
  std::vector<std::string> environment = {"DROVER_CRIU_CGROUP=" + hints.ownCgroup, "DROVER_CRIU_OWNER=" + std::to_string(hints.firstOwner) + ":" + std::to_string(hints.owners)};
  if (theirGate.valid()) {
    descriptors.push_back(theirGate.get());
    environment.push_back("DROVER_CRIU_GATE=" + std::to_string(childGate));
  }
  pid_t pid;
  {
    std::lock_guard lock(runningMutex);
    pid = way(binary, descriptors, environment);
    if (pid > 0) running.insert(pid);
  }
  if (pid < 0) {
    error = "start " + binary + ": " + strerror(-pid);
    return nullptr;
  }
  return std::unique_ptr<CriuProcess>(new CriuProcess(pid, static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), ownSocket.release(), std::move(ownGate)));
}

CriuProcess::~CriuProcess() {
  if (pid_ > 0) kill(pid_, SIGKILL);
  finish(Clock::now());
  if (pidfd_ >= 0) close(pidfd_);
  close(socket_);
  // And again: the caller has ended what it was restoring, and helpers below that have become the engine's, too.
  if (killedSession_ > 0) endOrphans(killedSession_);
}

bool CriuProcess::ask(const CriuRequest& request) {
  const std::vector<uint8_t> bytes = packCriuRequest(request);
  return asked_ = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool CriuProcess::waits(std::chrono::milliseconds deadline) {
  if (atGate_) return waitReadable(pidfd_, -1, Clock::now()) == 0;
  char byte;
  atGate_ = asked_ && gate_.valid() && waitReadable(gate_.get(), pidfd_, Clock::now() + deadline) == 1 && recv(gate_.get(), &byte, 1, 0) == 1;
  return atGate_;
}

bool CriuProcess::stage(uint32_t number, std::chrono::milliseconds deadline) {
  struct __attribute__((packed)) {
    char word;
    uint32_t number;
  } order{'s', number};
  char answer = 0;
  return waits(deadline) && ::send(gate_.get(), &order, sizeof order, MSG_NOSIGNAL) == sizeof order &&
         waitReadable(gate_.get(), pidfd_, Clock::now() + deadline) == 1 && recv(gate_.get(), &answer, 1, 0) == 1 && answer == order.word;
}

CriuAnswer CriuProcess::run(const CriuRequest& request, std::chrono::milliseconds deadline, const CriuNotify& notify) {
  CriuAnswer answer;
  const auto until = Clock::now() + deadline;
  std::string trouble;
  bool answered = false;
  if (request.stop && !gate_.valid() && !request.stop()) {
    answer.error = "given up before criu was asked";
    return answer;
  }
  if (!asked_ && !ask(request)) trouble = std::string("send the request to criu: ") + strerror(errno);
  if (trouble.empty() && gate_.valid()) trouble = passGate(request, notify);
  if (trouble.empty() && request.beside) request.beside();
  std::vector<uint8_t> buffer(maximumMessage);
  while (trouble.empty()) {
    int ready = waitReadable(socket_, pidfd_, until);
    if (ready == 0) {
      trouble = "criu did not answer within " + std::to_string(deadline.count()) + " ms and was ended";
      // Killed in a dump, it would leave its code in the tasks. With its socket closed it undoes the dump by itself.
      shutdown(socket_, SHUT_RDWR);
      if (request.kind != CriuRequest::Kind::dump || waitReadable(pidfd_, -1, Clock::now() + undoGrace) != 1) kill(pid_, SIGKILL);
      break;
    }
    ssize_t length = ready < 0 ? -1 : recv(socket_, buffer.data(), buffer.size(), 0);
    if (length <= 0) {
      trouble = describeEnd(finish(until));
      break;
    }
    const auto response = parseCriuMessage(buffer.data(), static_cast<size_t>(length));
    if (!response) {
      trouble = "criu sent an answer that is not its protocol";
      break;
    }
    if (response->notification) {
      if (!answerNotification(notify == nullptr || notify(response->script, response->pid))) trouble = std::string("answer a notification of criu: ") + strerror(errno);
      continue;
    }
    answered = true;
    answer.success = response->success;
    answer.pid = response->restoredPid;
    answer.version = response->version;
    trouble = response->trouble;
    break;
  }
  // Of a failure, the tasks are detached and the log is whole only when the process is gone.
  if (!request.leaves || !answer.success) end();
  if (!trouble.empty()) {
    answer.success = false;
    std::string log = request.directory >= 0 ? criuErrors(request.directory) : "";
    // CRIU's message is the first line that it logged, often a harmless one: the log says more.
    answer.error = log.empty() ? trouble : answered ? log : trouble + ": " + log;
  }
  return answer;
}

void CriuProcess::end() {
  shutdown(socket_, SHUT_WR);
  finish(Clock::now() + exitGrace);
}

std::string CriuProcess::passGate(const CriuRequest& request, const CriuNotify& notify) {
  const auto until = Clock::now() + gateDeadline;
  std::vector<uint8_t> buffer(maximumMessage);
  while (!atGate_) {
    pollfd entries[] = {{gate_.get(), POLLIN, 0}, {socket_, POLLIN, 0}, {pidfd_, POLLIN, 0}};
    int count = poll(entries, 3, millisecondsUntil(until));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return "criu was not ready within " + std::to_string(gateDeadline.count()) + " ms";
    char byte;
    if (entries[0].revents & POLLIN) {
      if (recv(gate_.get(), &byte, 1, 0) != 1) return "";
      break;
    }
    // Its end, or an answer, is for the caller to read.
    if (!(entries[1].revents & POLLIN)) return "";
    ssize_t length = recv(socket_, buffer.data(), buffer.size(), MSG_PEEK);
    const auto response = length > 0 ? parseCriuMessage(buffer.data(), static_cast<size_t>(length)) : std::nullopt;
    if (!response || !response->notification) return "";
    (void)recv(socket_, buffer.data(), buffer.size(), 0);
    if (response->script != "pre-dump") {
      gatesWork = false;
      // Told so, it undoes what it has done.
      (void)answerNotification(false);
      return "criu did not wait for the container to be stopped";
    }
    if (!answerNotification(notify == nullptr || notify(response->script, response->pid))) return std::string("answer a notification of criu: ") + strerror(errno);
  }
  bool stopped = !request.stop || request.stop();
  if (stopped && !letIn(gate_.get(), request.mappingTexts)) return "criu ended as the container was stopped";
  gate_.reset();
  return stopped ? "" : "given up before the dump";
}

bool CriuProcess::answerNotification(bool success) {
  CriuRpcRequest reply = CRIU_RPC_REQUEST__INIT;
  reply.type = CRIU_RPC_TYPE__NOTIFY;
  reply.has_notify_success = 1;
  reply.notify_success = success;
  return send(&reply);
}

bool CriuProcess::send(const void* request) {
  const auto* message = static_cast<const CriuRpcRequest*>(request);
  std::vector<uint8_t> bytes(criu_rpc_request__get_packed_size(message));
  criu_rpc_request__pack(message, bytes.data());
  return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

int CriuProcess::finish(Clock::time_point until) {
  if (pid_ <= 0) return -1;
  int status = -1;
  if (pidfd_ < 0 || waitReadable(pidfd_, -1, until) != 1) kill(pid_, SIGKILL);
  pid_t reaped;
  do reaped = waitpid(pid_, &status, __WALL);
  while (reaped < 0 && errno == EINTR);
  {
    std::lock_guard lock(runningMutex);
    running.erase(pid_);
  }
  pid_ = 0;
  // CRIU leads a session of its own (posix_spawn made it so).
  if (reaped > 0 && WIFSIGNALED(status)) {
    killedSession_ = reaped;
    removeYard(reaped);
  }
  // At once: a root that lives on could still move into the container's cgroups, behind the caller's back.
  if (killedSession_ > 0) endOrphans(killedSession_);
  return reaped < 0 ? -1 : status;
}

void removeYard(pid_t criu) {
  char path[64];
  snprintf(path, sizeof path, "/run/.criu.mntns.%06x", static_cast<unsigned>(criu));
  rmdir(path);
}

std::string criuVersionText(const CriuAnswer& answer) {
  if (answer.version == 0) return "";
  std::string text = std::to_string(answer.version / 10000) + "." + std::to_string(answer.version / 100 % 100);
  if (answer.version % 100 != 0) text += "." + std::to_string(answer.version % 100);
  return text;
}

void forgetLog(int directory) {
  if (criuLogLevel() == 1) unlinkat(directory, criuLogName, 0);
}

std::string criuErrors(int directory, size_t maximum) {
  int fd = openat(directory, criuLogName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return "";
  std::string text;
  char chunk[4096];
  for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0 && text.size() < largestLog;) text.append(chunk, static_cast<size_t>(n));
  close(fd);
  return errorsInCriuLog(text, maximum);
}

}  // namespace drover
