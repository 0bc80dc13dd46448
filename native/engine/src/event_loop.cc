// The epoll loop. See event_loop.h.
#include "event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>

namespace drover {

namespace {

constexpr int eventsPerTurn = 64;
constexpr uint64_t wakeToken = 0;

int64_t monotonicMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  auto loop = std::make_unique<EventLoop>();
  loop->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_.valid()) return errnoError("create epoll");
  loop->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_.valid()) return errnoError("create eventfd");
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = wakeToken;
  if (epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0) return errnoError("watch eventfd");
  return loop;
}

Status EventLoop::add(int fd, uint32_t events, Handler handler) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = nextToken_;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errnoError("watch descriptor");
  tokens_[fd] = nextToken_;
  watches_[nextToken_] = std::make_shared<Watch>(Watch{fd, std::move(handler)});
  ++nextToken_;
  return {};
}

void EventLoop::modify(int fd, uint32_t events) {
  auto token = tokens_.find(fd);
  if (token == tokens_.end()) return;
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token->second;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::remove(int fd) {
  auto token = tokens_.find(fd);
  if (token == tokens_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watches_.erase(token->second);
  tokens_.erase(token);
}

uint64_t EventLoop::after(int64_t milliseconds, std::function<void()> work) {
  uint64_t id = nextToken_++;
  timers_.emplace(monotonicMs() + std::max<int64_t>(milliseconds, 0), std::pair(id, std::move(work)));
  return id;
}

void EventLoop::cancel(uint64_t timer) {
  for (auto entry = timers_.begin(); entry != timers_.end(); ++entry)
    if (entry->second.first == timer) {
      timers_.erase(entry);
      return;
    }
}

void EventLoop::post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    if (posted_.size() > 1) return;
  }
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wake_.get(), &one, sizeof one);
}

void EventLoop::run() {
  epoll_event events[eventsPerTurn];
  while (running_) {
    int count = epoll_wait(epoll_.get(), events, eventsPerTurn, nextTimeoutMs());
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == wakeToken) {
        uint64_t drained;
        [[maybe_unused]] ssize_t bytes = read(wake_.get(), &drained, sizeof drained);
        continue;
      }
      // A handler may remove any watch, its own too: hold it while it runs, skip those that are gone.
      auto found = watches_.find(events[i].data.u64);
      if (found == watches_.end()) continue;
      auto watch = found->second;
      watch->handler(events[i].events);
    }
    runTimers();
    runPosted();
  }
}

int EventLoop::nextTimeoutMs() const {
  if (timers_.empty()) return -1;
  return static_cast<int>(std::clamp<int64_t>(timers_.begin()->first - monotonicMs(), 0, 60'000));
}

void EventLoop::runTimers() {
  int64_t now = monotonicMs();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto work = std::move(timers_.begin()->second.second);
    timers_.erase(timers_.begin());
    work();
  }
}

void EventLoop::runPosted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& entry : work) entry();
}

}  // namespace drover
