// One epoll loop on one thread: descriptors with handlers, timers, and work posted from other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "error.h"
#include "unique_fd.h"

namespace drover {

class EventLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;
  static Result<std::unique_ptr<EventLoop>> create();

  /** Loop's thread only (or before it runs). The descriptor stays the caller's; remove it before closing it. */
  Status add(int fd, uint32_t events, Handler handler);
  void modify(int fd, uint32_t events);
  void remove(int fd);
  /** Runs `work` once after the time; returns an id for cancel. Loop's thread only. */
  uint64_t after(int64_t milliseconds, std::function<void()> work);
  void cancel(uint64_t timer);
  /** Any thread. */
  void post(std::function<void()> work);
  /** Until stop(). */
  void run();
  void stop() { running_ = false; }

 private:
  struct Watch {
    int fd;
    Handler handler;
  };
  int nextTimeoutMs() const;
  void runTimers();
  void runPosted();

  UniqueFd epoll_;
  UniqueFd wake_;
  bool running_ = true;
  uint64_t nextToken_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Watch>> watches_;
  std::unordered_map<int, uint64_t> tokens_;
  std::multimap<int64_t, std::pair<uint64_t, std::function<void()>>> timers_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace drover
