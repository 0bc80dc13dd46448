// The kernel's announcements of devices that come and go (uevents), as one question: look again.
#pragma once

#include <functional>
#include <memory>

#include "error.h"
#include "event_loop.h"
#include "unique_fd.h"

namespace drover {

class Hotplug {
 public:
  explicit Hotplug(EventLoop& loop) : loop_(loop) {}
  /** Before the loop runs. `changed` is called on the loop's thread, once for a burst of announcements. */
  Status begin(std::function<void()> changed);

 private:
  EventLoop& loop_;
  UniqueFd socket_;
  std::function<void()> changed_;
  bool due_ = false;
};

}  // namespace drover
