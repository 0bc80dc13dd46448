// The proxies of all containers: one thread with a loop of its own, so that their traffic keeps no operation waiting; none as long as
// no container has one. Addresses of the host that lead into containers, with the loopback inside as near as any other address.
// Connections end with the engine, and when their container is dumped; who listens comes back by itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "error.h"
#include "event_loop.h"
#include "proxy_listener.h"

namespace drover {

/** Any thread, which waits until it is done. */
class Proxies {
 public:
  Proxies() = default;
  Proxies(const Proxies&) = delete;
  Proxies& operator=(const Proxies&) = delete;

  /** Makes it so that the container whose init is `init` has these proxies and no others; those that stay go on. */
  Status apply(const std::string& container, pid_t init, const std::vector<Device>& devices);
  /** Takes the addresses for a container that is on its way here, so that a port that is in use is known before it stands still. */
  Status reserve(const std::string& container, const std::vector<Device>& devices);
  /** Before a dump: no connection leads inside any more. `apply` lets them in again. */
  void pause(const std::string& container);
  void end(const std::string& container);

 private:
  /** By the name of the device. Of the thread alone. */
  using Listeners = std::map<std::string, std::unique_ptr<ProxyListener>>;
  Status bindAll(const std::string& container, const std::vector<Device>& devices);
  Status onThread(const std::function<Status()>& work);
  bool knows(const std::string& container);

  std::mutex mutex_;
  std::unique_ptr<EventLoop> loop_;
  /** Those that have any. */
  std::set<std::string> known_;
  std::map<std::string, Listeners> byContainer_;
};

}  // namespace drover
