#include "criu_selftest.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "criu_client.h"

namespace drover {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds criuDeadline{15000};
/** For the process to count on; it counts a hundred times a second. */
constexpr std::chrono::milliseconds progressDeadline{5000};
constexpr useconds_t stepMicroseconds = 10'000;
constexpr uint64_t stepsToSee = 3;

std::string errnoText(const char* doing) { return std::string(doing) + ": " + strerror(errno); }

/** Brings the loopback interface of the current network namespace up. */
bool loopbackUp() {
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  bool ok = s >= 0 && ioctl(s, SIOCSIFFLAGS, &request) == 0;
  if (s >= 0) close(s);
  return ok;
}

/** The process that is dumped: sends itself numbers over TCP and writes each one that arrives to `progress`. Never returns. */
[[noreturn]] void countOverTcp(const char* progress) {
  setsid();
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  for (int fd = 3; fd < 1024; fd++) close(fd);
  if (unshare(CLONE_NEWNET) != 0 || !loopbackUp()) _exit(10);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  int listener = socket(AF_INET, SOCK_STREAM, 0), sender = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, generic, length) != 0 || listen(listener, 1) != 0 || getsockname(listener, generic, &length) != 0) _exit(11);
  if (connect(sender, generic, length) != 0) _exit(12);
  int receiver = accept(listener, nullptr, nullptr);
  int file = open(progress, O_WRONLY);
  if (receiver < 0 || file < 0) _exit(13);
  for (uint64_t count = 1;; count++) {
    uint64_t arrived = 0;
    if (write(sender, &count, sizeof count) != sizeof count || recv(receiver, &arrived, sizeof arrived, MSG_WAITALL) != sizeof arrived)
      _exit(14);
    if (arrived != count || pwrite(file, &arrived, sizeof arrived, 0) != sizeof arrived) _exit(15);
    usleep(stepMicroseconds);
  }
}

class Selftest {
 public:
  explicit Selftest(const char* binary) : binary_(binary) {}
  ~Selftest();
  /** Empty if criu works, else what failed. */
  std::string run();
  std::string version() const { return version_; }

 private:
  std::string readVersion();
  std::string startTarget();
  std::string dump();
  std::string restore();
  std::optional<uint64_t> progress() const;
  bool waitBeyond(uint64_t count) const;
  /** A fresh criu for one request. */
  CriuAnswer ask(const CriuRequest& request, const CriuNotify& notify = nullptr) const;

  std::string binary_, version_, folder_;
  int directory_ = -1;
  pid_t target_ = 0;
};

std::string Selftest::run() {
  for (auto step : {&Selftest::readVersion, &Selftest::startTarget, &Selftest::dump, &Selftest::restore}) {
    std::string trouble = (this->*step)();
    if (!trouble.empty()) return trouble;
  }
  return "";
}

Selftest::~Selftest() {
  if (target_ > 0) {
    kill(target_, SIGKILL);
    waitpid(target_, nullptr, __WALL);
  }
  if (directory_ >= 0) close(directory_);
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

CriuAnswer Selftest::ask(const CriuRequest& request, const CriuNotify& notify) const {
  CriuAnswer answer;
  auto criu = CriuProcess::spawn(binary_, answer.error);
  return criu ? criu->run(request, criuDeadline, notify) : answer;
}

std::string Selftest::readVersion() {
  CriuAnswer answer = ask({.kind = CriuRequest::Kind::version});
  if (!answer.success) return "version: " + answer.error;
  version_ = criuVersionText(answer);
  return "";
}

std::string Selftest::startTarget() {
  // What is restored is our own child too, so that it can be reaped.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  char folder[] = "/tmp/drover-criu-XXXXXX";
  if (mkdtemp(folder) == nullptr) return errnoText("make a temporary folder");
  folder_ = folder;
  directory_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::string file = folder_ + "/progress";
  int fd = open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (directory_ < 0 || fd < 0) return errnoText("make the progress file");
  close(fd);
  target_ = fork();
  if (target_ == 0) countOverTcp(file.c_str());
  if (target_ < 0) return errnoText("fork");
  return waitBeyond(stepsToSee) ? "" : "the process to dump does not run (no network namespaces?)";
}

std::string Selftest::dump() {
  CriuAnswer answer = ask({.kind = CriuRequest::Kind::dump, .directory = directory_, .pid = target_});
  if (!answer.success) return "dump of a process with a TCP connection: " + answer.error;
  waitpid(target_, nullptr, __WALL);
  target_ = 0;
  return "";
}

std::string Selftest::restore() {
  uint64_t before = progress().value_or(0);
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  CriuAnswer answer = ask({.kind = CriuRequest::Kind::restore, .directory = directory_}, [&](std::string_view script, pid_t pid) {
    if (script != "setup-namespaces") return true;
    int theirs = open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
    bool ok = theirs >= 0 && setns(theirs, CLONE_NEWNET) == 0 && loopbackUp();
    if (theirs >= 0) close(theirs);
    return setns(own, CLONE_NEWNET) == 0 && ok;
  });
  close(own);
  if (!answer.success) return "restore of a process with a TCP connection: " + answer.error;
  target_ = answer.pid;
  return waitBeyond(before + stepsToSee) ? "" : "the restored process does not go on";
}

std::optional<uint64_t> Selftest::progress() const {
  uint64_t count = 0;
  int fd = openat(directory_, "progress", O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && read(fd, &count, sizeof count) == sizeof count;
  if (fd >= 0) close(fd);
  return ok ? std::optional(count) : std::nullopt;
}

bool Selftest::waitBeyond(uint64_t count) const {
  for (auto until = Clock::now() + progressDeadline; Clock::now() < until; usleep(stepMicroseconds)) {
    if (progress().value_or(0) > count) return true;
    if (waitpid(target_, nullptr, WNOHANG | WNOWAIT | __WALL) > 0) return false;
  }
  return false;
}

}  // namespace

int criuSelftest(const char* binary) {
  std::string trouble, version;
  {
    Selftest test(binary);
    trouble = geteuid() == 0 ? test.run() : "not root";
    version = test.version();
  }
  nlohmann::json result = {{"usable", trouble.empty()}, {"version", nullptr}, {"reason", trouble}};
  if (!version.empty()) result["version"] = version;
  if (trouble.empty()) result["reason"] = "dumped and restored a process with a TCP connection";
  printf("%s\n", result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return trouble.empty() ? 0 : 1;
}

}  // namespace drover
