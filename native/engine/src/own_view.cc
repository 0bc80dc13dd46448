// The life of the one lxcfs process. See own_view.h and lxcfs(1).
#include "own_view.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "file_io.h"
#include "log.h"
#include "mountinfo.h"
#include "mounts.h"
#include "pidfd.h"
#include "spawn_attributes.h"

namespace drover {

namespace {

/** lxcfs, or what stands in for it in a test. */
const std::string& program() {
  static const std::string path = [] {
    const char* other = getenv("DROVER_LXCFS");
    return std::string(other && *other ? other : "/usr/bin/lxcfs");
  }();
  return path;
}
/** From its start to its mount: milliseconds, unless the machine is very busy. */
constexpr int mountDeadlineMs = 10'000;
/** The first containers of a host wait this long for it rather than to see the host's numbers. */
constexpr int firstWaitMs = 5'000;
constexpr int endDeadlineMs = 2'000;
constexpr int64_t firstPauseMs = 100, longestPauseMs = 60'000;
/** The mount table of a host has a line for each restore under way, none for a running container. */
constexpr size_t largestMountTable = 16 << 20;

bool mounted(const std::string& path) {
  auto table = readFile("/proc/self/mountinfo", largestMountTable);
  return table.ok() && unescapeMountinfo(table.value()).find(" " + path + " ") != std::string::npos;
}

/** FNV-1a: tells engines of one machine apart. */
std::string shortHash(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (unsigned char byte : text) hash = (hash ^ byte) * 16777619U;
  char digits[9];
  snprintf(digits, sizeof digits, "%08x", hash);
  return digits;
}

}  // namespace

// A name with a dot is no container id, so the directory can't be taken for a container's.
OwnView::OwnView(const std::string& stateDirectory, EventLoop& loop)
    : directory_(stateDirectory + "/.lxcfs"), mountPoint_("/run/drover-lxcfs-" + shortHash(stateDirectory)), loop_(loop) {}

void OwnView::begin(std::function<void()> restarted) {
  restarted_ = std::move(restarted);
  settle(adopt() ? Status() : start());
}

std::string OwnView::root() {
  std::unique_lock lock(mutex_);
  settled_.wait_for(lock, std::chrono::milliseconds(firstWaitMs), [&] { return begun_; });
  // It may have ended a moment ago, which answers ENOTCONN before its end is noticed.
  return serving_ && access((mountPoint_ + "/proc/meminfo").c_str(), R_OK) == 0 ? mountPoint_ : "";
}

std::string OwnView::noticedRoot() {
  std::unique_lock lock(mutex_);
  settled_.wait_for(lock, std::chrono::milliseconds(firstWaitMs), [&] { return begun_; });
  return serving_ ? mountPoint_ : "";
}

std::string OwnView::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

void OwnView::settle(const Status& status) {
  {
    std::lock_guard lock(mutex_);
    begun_ = true;
    serving_ = status.ok();
    reason_ = status.ok() ? "" : status.error().message;
  }
  settled_.notify_all();
  if (!status.ok()) logLine("warn", "containers see the host's numbers: " + status.error().message);
}

bool OwnView::adopt() {
  auto text = readFile(directory_ + "/process.json", 4096);
  if (!text.ok()) return false;
  auto note = nlohmann::json::parse(text.value(), nullptr, false);
  if (!note.is_object() || note.value("bootId", "") != bootId() || !mounted(mountPoint_)) return false;
  pid_t pid = note.value("pid", 0);
  return pid > 0 && processStartTime(pid) == note.value("startTime", uint64_t{0}) && watch(pid).ok();
}

Status OwnView::start() {
  if (access(program().c_str(), X_OK) != 0) return engineError(program() + " is not installed (package lxcfs)");
  // What an earlier one left is a mount that answers `not connected`.
  if (mounted(mountPoint_)) DROVER_TRY(detachMount(mountPoint_));
  DROVER_TRY(makeDirectory(mountPoint_, 0755));
  DROVER_TRY(makeDirectory(directory_, 0700));

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, (directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const SpawnAttributes attributes;
  std::string pidFile = directory_ + "/pid";
  const char* arguments[] = {"lxcfs", "-f", "--enable-loadavg", "--enable-cfs", "-p", pidFile.c_str(), mountPoint_.c_str(), nullptr};
  const char* environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  pid_t pid = -1;
  int failure = posix_spawn(&pid, program().c_str(), &actions, attributes.get(), const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return errnoError("start " + program(), failure);
  nlohmann::json note = {{"pid", pid}, {"startTime", processStartTime(pid)}, {"bootId", bootId()}};
  DROVER_TRY(replaceFile(directory_ + "/process.json", note.dump(), false));

  DROVER_TRY_ASSIGN(pidfd, openPidfd(pid));
  for (int64_t until = nowMs() + mountDeadlineMs; !mounted(mountPoint_);) {
    bool over = waitPidfd(pidfd.get(), 5);
    if (!over && nowMs() < until) continue;
    if (!over) (void)signalPidfd(pidfd.get(), SIGKILL).ok();
    if (waitPidfd(pidfd.get(), endDeadlineMs)) endedStatus(pidfd.get());
    auto said = readFile(directory_ + "/log", 1 << 16);
    std::string text = said.ok() ? said.value() : "";
    constexpr size_t most = 300;
    if (text.size() > most) text = text.substr(text.size() - most);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return engineError(std::string("lxcfs ") + (over ? "ended" : "did not mount in time") + ": " + text);
  }
  return watch(pid);
}

Status OwnView::watch(pid_t pid) {
  DROVER_TRY_ASSIGN(opened, openPidfd(pid));
  auto pidfd = std::make_shared<UniqueFd>(std::move(opened));
  {
    std::lock_guard lock(mutex_);
    process_ = pidfd;
  }
  loop_.post([this, pidfd] {
    Status watched = loop_.add(pidfd->get(), EPOLLIN, [this, pidfd](uint32_t) {
      loop_.remove(pidfd->get());
      endedStatus(pidfd->get());
      ended();
    });
    if (!watched.ok()) logLine("error", watched.error().message);
  });
  return {};
}

void OwnView::ended() {
  {
    std::lock_guard lock(mutex_);
    serving_ = false;
    reason_ = "lxcfs has ended";
    if (ending_) return;
  }
  int64_t pause = std::min(firstPauseMs << std::min(failures_++, 16), longestPauseMs);
  logLine("warn", "lxcfs has ended; started again in " + std::to_string(pause) + " ms");
  loop_.after(pause, [this] {
    // Some milliseconds on the loop's thread, once in a long while.
    Status started = start();
    settle(started);
    if (!started.ok()) return ended();
    restarted_();
  });
}

void OwnView::end() {
  std::shared_ptr<UniqueFd> process;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    process = process_;
  }
  if (!process) return;
  if (signalPidfd(process->get(), SIGTERM).ok() && !waitPidfd(process->get(), endDeadlineMs)) (void)signalPidfd(process->get(), SIGKILL).ok();
  if (waitPidfd(process->get(), endDeadlineMs)) endedStatus(process->get());
  (void)detachMount(mountPoint_).ok();
  (void)rmdir(mountPoint_.c_str());
  (void)removeTree(directory_).ok();
}

}  // namespace drover
