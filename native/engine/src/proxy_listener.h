// One device of type proxy as it is in force: a socket of the host, and all that came in by it. Two kinds, streams (tcp, unix) and
// datagrams (udp). Only the thread of `Proxies` touches one.
#pragma once

#include <memory>

#include "device.h"
#include "error.h"
#include "event_loop.h"
#include "proxy_target.h"
#include "unique_fd.h"

namespace drover {

class ProxyListener {
 public:
  /** Takes the address, so that nobody else can; nothing is let in yet. */
  static Result<std::unique_ptr<ProxyListener>> bind(EventLoop& loop, const Device& device);
  virtual ~ProxyListener();
  ProxyListener(const ProxyListener&) = delete;
  ProxyListener& operator=(const ProxyListener&) = delete;

  /** Lets in who comes, to the container; repeated, it goes on with what is under way. */
  virtual Status open(const ProxyTarget& target) = 0;
  /** Cuts what is under way and lets nobody in; the address stays taken. */
  virtual void pause() = 0;
  const Device& device() const { return device_; }

 protected:
  ProxyListener(EventLoop& loop, const Device& device, UniqueFd socket) : loop_(loop), device_(device), socket_(std::move(socket)) {}

  EventLoop& loop_;
  const Device device_;
  UniqueFd socket_;
};

std::unique_ptr<ProxyListener> makeStreamProxy(EventLoop& loop, const Device& device, UniqueFd socket);
std::unique_ptr<ProxyListener> makeDatagramProxy(EventLoop& loop, const Device& device, UniqueFd socket);

}  // namespace drover
