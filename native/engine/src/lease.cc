// See lease.h.
#include "lease.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "crash_point.h"
#include "engine.h"
#include "file_io.h"
#include "json_io.h"
#include "log.h"
#include "netlink.h"
#include "pidfd.h"

namespace drover {

namespace {

constexpr const char* fileName = "/lease.json";

int64_t bootMs() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

void warn(const Status& status) {
  if (!status.ok()) logLine("warn", status.error().message);
}

}  // namespace

Lease::Lease(Engine& engine) : engine_(engine) {}

void Lease::load() {
  auto text = readFile(engine_.config().stateDirectory + fileName);
  if (!text.ok()) return;
  Json value = parseJson(text.value());
  auto boot = stringField(value, "bootId");
  auto until = integerField(value, "untilMs", 0, INT64_MAX / 2);
  auto named = objectField(value, "containers");
  // Unreadable, or of an earlier boot: then no container that needs a lease runs before the next one.
  if (!boot.ok() || !until.ok() || !named.ok() || boot.value() != bootId()) return;
  std::lock_guard lock(mutex_);
  untilMs_ = until.value();
  for (const auto& [id, epoch] : named.value().items())
    if (epoch.is_number_integer()) containers_[id] = epoch.get<int64_t>();
}

Status Lease::begin() {
  timer_ = UniqueFd(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_.valid()) return errnoError("make the timer of the lease");
  DROVER_TRY(engine_.loop().add(timer_.get(), EPOLLIN, [this](uint32_t) {
    uint64_t expirations;
    [[maybe_unused]] ssize_t bytes = read(timer_.get(), &expirations, sizeof expirations);
    ended();
  }));
  arm();
  return {};
}

Status Lease::renew(int64_t untilMs, std::map<std::string, int64_t> containers) {
  {
    std::lock_guard lock(mutex_);
    untilMs_ = std::max(untilMs_, untilMs);
    containers_ = std::move(containers);
  }
  save();
  arm();
  for (const auto& container : engine_.all()) {
    if (!container->snapshot().fenced) continue;
    engine_.enqueue(container, [this, container] { warn(unfenceContainer(engine_, container)); }, true);
  }
  return {};
}

bool Lease::holds(const Record& record) const {
  if (!record.spec.limits.leased) return true;
  std::lock_guard lock(mutex_);
  auto named = containers_.find(record.spec.container);
  return named != containers_.end() && named->second == record.spec.epoch && bootMs() < untilMs_;
}

bool Lease::names(const Record& record) const {
  if (!record.spec.limits.leased) return false;
  std::lock_guard lock(mutex_);
  auto named = containers_.find(record.spec.container);
  return named != containers_.end() && named->second == record.spec.epoch;
}

Status Lease::check(const char* doing, const Record& record) const {
  if (holds(record)) return {};
  return Error{"WRONG_STATE", std::string(doing) + " " + record.spec.container + ": this host's lease is over: it has not heard from the leader, and the container may have been started elsewhere"};
}

void Lease::arm() {
  itimerspec when = {};
  {
    std::lock_guard lock(mutex_);
    // 0 would disarm it: a lease that is over ends now.
    int64_t at = std::max<int64_t>(untilMs_, 1);
    when.it_value = {at / 1000, at % 1000 * 1'000'000};
  }
  if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) warn(errnoError("set the timer of the lease"));
}

void Lease::ended() {
  std::vector<std::shared_ptr<Container>> affected;
  for (const auto& container : engine_.all()) {
    const Record record = container->snapshot();
    if (record.spec.limits.leased && record.initPid > 0 && !holds(record)) affected.push_back(container);
  }
  if (affected.empty()) return;
  logLine("warn", "the lease of this host is over: " + std::to_string(affected.size()) + " containers that may be started elsewhere are frozen");
  // At once, without waiting in the queue behind something long; the records follow in their order.
  std::thread([this, affected] {
    for (const auto& container : affected) {
      if (holds(container->snapshot())) continue;
      crashPoint("lease:over");
      warn(engine_.cgroups().requestFreeze(container->id));
      // Once more, for it may have been renewed between the look and the freeze, and all else be done.
      engine_.enqueue(container, [this, container] { warn(fenceContainer(engine_, container)); }, true);
    }
  }).detach();
  for (const auto& container : affected) engine_.enqueue(container, [this, container] { warn(fenceContainer(engine_, container)); }, true);
}

void Lease::save() const {
  Json value = {{"bootId", bootId()}, {"containers", Json::object()}};
  {
    std::lock_guard lock(mutex_);
    value["untilMs"] = untilMs_;
    for (const auto& [id, epoch] : containers_) value["containers"][id] = epoch;
  }
  // Lost with the power: so are the containers.
  warn(replaceFile(engine_.config().stateDirectory + fileName, toText(value), false));
}

Status fenceContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  if (before.initPid == 0 || before.fenced || before.state != State::running) return {};
  if (engine.lease().holds(before)) {
    // Renewed meanwhile: what was frozen in haste goes on.
    return engine.cgroups().thaw(container->id);
  }
  DROVER_TRY(engine.cgroups().freeze(container->id));
  // A frozen container's kernel still answers for its address.
  warn(engine.bridges().detach(before.spec.identity));
  return engine.update(*container, [](Record& record) {
    record.state = State::frozen;
    record.fenced = true;
  });
}

Status unfenceContainer(Engine& engine, const std::shared_ptr<Container>& container) {
  const Record before = container->snapshot();
  if (!before.fenced || !engine.lease().holds(before)) return {};
  if (before.initPid == 0 || before.state != State::frozen) return engine.update(*container, [](Record& record) { record.fenced = false; });
  warn(engine.bridges().attach(before.spec));
  DROVER_TRY(engine.cgroups().thaw(container->id));
  DROVER_TRY(engine.update(*container, [](Record& record) {
    record.state = State::running;
    record.fenced = false;
  }));
  // The bridge has forgotten where it is.
  auto network = openNetworkNamespace(before.initPid);
  if (!network.ok()) return {};
  auto announced = announce(network.value().get(), before.spec.identity);
  if (announced.ok()) engine.closeLater(std::move(announced.value()));
  else logLine("warn", announced.error().message);
  return {};
}

}  // namespace drover
