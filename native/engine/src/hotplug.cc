// See hotplug.h; the kernel's lib/kobject_uevent.c: group 1 of NETLINK_KOBJECT_UEVENT.
#include "hotplug.h"

#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace drover {

namespace {
/** Plugging one thing in makes a dozen announcements, and its files are there only after some of them. */
constexpr int64_t settleMs = 200;
}  // namespace

Status Hotplug::begin(std::function<void()> changed) {
  changed_ = std::move(changed);
  socket_.reset(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (!socket_.valid() || bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return errnoError("listen for devices");
  return loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) {
    // What they say does not matter, and that some are lost (ENOBUFS) neither: everything is looked at again.
    char ignored[8192];
    while (recv(socket_.get(), ignored, sizeof ignored, 0) > 0 || errno == ENOBUFS) {
    }
    if (due_) return;
    due_ = true;
    loop_.after(settleMs, [this] {
      due_ = false;
      changed_();
    });
  });
}

}  // namespace drover
