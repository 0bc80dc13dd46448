// See proxies.h.
#include "proxies.h"

#include <algorithm>
#include <future>
#include <thread>

#include "pidfd.h"

namespace drover {

Status Proxies::apply(const std::string& container, pid_t init, const std::vector<Device>& devices) {
  if (devices.empty()) {
    end(container);
    return {};
  }
  return onThread([&]() -> Status {
    DROVER_TRY(bindAll(container, devices));
    for (auto& [name, listener] : byContainer_[container]) {
      auto address = parseProxyAddress(listener->device().connect);
      if (!address) return engineError("connect to " + listener->device().connect + ": no such kind of address");
      Status opened = listener->open({init, processStartTime(init), *address});
      if (!opened.ok()) return Error{opened.error().code, "device " + name + ": " + opened.error().message};
    }
    return {};
  });
}

Status Proxies::reserve(const std::string& container, const std::vector<Device>& devices) {
  if (devices.empty()) return {};
  Status bound = onThread([&] { return bindAll(container, devices); });
  if (!bound.ok()) end(container);
  return bound;
}

void Proxies::pause(const std::string& container) {
  if (!knows(container)) return;
  (void)onThread([&]() -> Status {
    for (auto& [name, listener] : byContainer_[container]) listener->pause();
    return {};
  }).ok();
}

void Proxies::end(const std::string& container) {
  if (!knows(container)) return;
  (void)onThread([&]() -> Status {
    byContainer_.erase(container);
    std::lock_guard lock(mutex_);
    known_.erase(container);
    return {};
  }).ok();
}

Status Proxies::bindAll(const std::string& container, const std::vector<Device>& devices) {
  {
    std::lock_guard lock(mutex_);
    known_.insert(container);
  }
  Listeners& listeners = byContainer_[container];
  std::erase_if(listeners, [&](const auto& entry) {
    return std::find(devices.begin(), devices.end(), entry.second->device()) == devices.end();
  });
  for (const auto& device : devices) {
    if (listeners.contains(device.name)) continue;
    auto bound = ProxyListener::bind(*loop_, device);
    if (!bound.ok()) return Error{bound.error().code, "device " + device.name + ": " + bound.error().message};
    listeners[device.name] = std::move(bound.value());
  }
  return {};
}

bool Proxies::knows(const std::string& container) {
  std::lock_guard lock(mutex_);
  return known_.contains(container);
}

Status Proxies::onThread(const std::function<Status()>& work) {
  {
    std::lock_guard lock(mutex_);
    if (!loop_) {
      DROVER_TRY_ASSIGN(made, EventLoop::create());
      loop_ = std::move(made);
      std::thread([loop = loop_.get()] { loop->run(); }).detach();
    }
  }
  std::promise<Status> done;
  loop_->post([&] { done.set_value(work()); });
  return done.get_future().get();
}

}  // namespace drover
