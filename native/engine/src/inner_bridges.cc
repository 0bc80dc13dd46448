// See inner_bridges.h.
#include "inner_bridges.h"

#include <net/if.h>

#include <algorithm>
#include <cstdlib>

#include "bridge_port.h"
#include "log.h"
#include "netlink.h"

namespace drover {

namespace {

/** Then a port more costs a tenth of a millisecond at most, and an inner bridge with its two links is shared by enough. */
constexpr size_t usualLinks = 64;

/** `DROVER_LINKS_PER_BRIDGE` has tests make do with few containers. */
size_t linksPerBridge() {
  static const char* const asked = getenv("DROVER_LINKS_PER_BRIDGE");
  return asked ? std::max<size_t>(1, strtoul(asked, nullptr, 10)) : usualLinks;
}

/** Isolation holds among the ports of one bridge only, and the pair between two is of the usual size. */
bool needsHostsBridge(const Limits& limits) { return limits.networkIsolated || limits.networkMtu > 0; }

bool isVeth(const std::string& link) { return link.size() > 2 && link.starts_with("dv") && link.find_first_not_of("0123456789", 2) == std::string::npos; }

/** What follows the prefix as a number above 0; else 0. */
unsigned numberAfter(const std::string& prefix, const std::string& name) {
  return name.starts_with(prefix) ? static_cast<unsigned>(strtoul(name.c_str() + prefix.size(), nullptr, 10)) : 0;
}

bool contains(const std::vector<std::string>& links, const std::string& link) { return std::ranges::find(links, link) != links.end(); }

void warn(const Status& status) {
  if (!status.ok()) logLine("warn", status.error().message);
}

}  // namespace

std::string InnerBridges::innerName(Number number) const { return "dvb" + std::to_string(index_) + "-" + std::to_string(number); }
std::string InnerBridges::uplinkName(Number number) const { return "dvu" + std::to_string(index_) + "-" + std::to_string(number); }
std::string InnerBridges::downlinkName(Number number) const { return "dvd" + std::to_string(index_) + "-" + std::to_string(number); }

Status InnerBridges::adopt() {
  std::lock_guard lock(mutex_);
  index_ = if_nametoindex(bridge_.c_str());
  if (index_ == 0) return {};
  DROVER_TRY_ASSIGN(all, allLinks());
  DROVER_TRY_ASSIGN(joined, portsOf(bridge_));
  for (const auto& link : joined)
    if (isVeth(link)) note(link, 0);
  const std::string prefix = innerName(0).substr(0, innerName(0).size() - 1);
  for (const auto& name : all) {
    const Number number = numberAfter(prefix, name);
    if (number == 0) continue;
    DROVER_TRY_ASSIGN(ports, portsOf(name));
    links_[number];
    for (const auto& link : ports)
      if (isVeth(link)) note(link, number);
    // Made by halves by one that was killed.
    if (!contains(joined, uplinkName(number)) || !contains(ports, downlinkName(number))) warn(join(number));
  }
  return {};
}

void InnerBridges::removeEmpty() {
  std::vector<Number> empty;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [number, links] : links_)
      if (number != 0 && links.empty()) empty.push_back(number);
  }
  for (Number number : empty) remove(number);
}

Status InnerBridges::attach(const Spec& spec) {
  const std::string link = vethName(spec.identity);
  std::lock_guard lock(mutex_);
  if (index_ == 0) index_ = if_nametoindex(bridge_.c_str());
  const Number before = placeOf(link);
  Number number = choose(link, spec.limits);
  if (number != 0 && !links_.contains(number))
    if (Status made = join(number); !made.ok()) {
      logLine("warn", "an inner bridge: " + made.error().message + "; " + link + " stays on " + bridge_);
      number = 0;
    }
  DROVER_TRY(attachLink(link, number == 0 ? bridge_ : innerName(number)));
  note(link, number);
  if (before != 0 && before != number) forgetPort(uplinkName(before), spec.identity.mac);
  // Both bridges may have heard it from elsewhere a moment ago, and would send there what comes before its first packet.
  if (number != 0) {
    warn(learnPort(link, spec.identity.mac));
    warn(learnPort(uplinkName(number), spec.identity.mac));
  }
  return spec.limits.networkIsolated ? isolatePort(link) : Status();
}

Status InnerBridges::detach(const Identity& identity) {
  const std::string link = vethName(identity);
  DROVER_TRY(detachLink(link));
  std::lock_guard lock(mutex_);
  if (Number number = placeOf(link); number != 0) forgetPort(uplinkName(number), identity.mac);
  return {};
}

Status InnerBridges::destroy(const Identity& identity) {
  const std::string link = vethName(identity);
  DROVER_TRY(destroyLink(link));
  Number number;
  {
    std::lock_guard lock(mutex_);
    number = placeOf(link);
    links_[number].erase(link);
    if (number == 0) return {};
    forgetPort(uplinkName(number), identity.mac);
    if (!links_[number].empty()) return {};
  }
  remove(number);
  return {};
}

Status InnerBridges::change(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits) {
  const std::string link = vethName(identity);
  DROVER_TRY(resizeVeth(networkNamespace, identity, before, limits));
  std::lock_guard lock(mutex_);
  const Number number = placeOf(link);
  // One that is on none now goes there when it is attached.
  if (number != 0 && needsHostsBridge(limits)) {
    DROVER_TRY_ASSIGN(ports, portsOf(innerName(number)));
    if (!contains(ports, link)) return {};
    DROVER_TRY(attachLink(link, bridge_));
    note(link, 0);
    forgetPort(uplinkName(number), identity.mac);
  }
  return before.networkIsolated == limits.networkIsolated ? Status() : isolatePortIfAny(link, limits.networkIsolated);
}

InnerBridges::Number InnerBridges::placeOf(const std::string& link) const {
  for (const auto& [number, links] : links_)
    if (links.contains(link)) return number;
  return 0;
}

InnerBridges::Number InnerBridges::choose(const std::string& link, const Limits& limits) const {
  if (needsHostsBridge(limits)) return 0;
  for (const auto& [number, links] : links_)
    if (links.contains(link)) return number;
  auto hasRoom = [this](Number number) {
    auto found = links_.find(number);
    return found == links_.end() || found->second.size() < linksPerBridge();
  };
  // A firewall that knows the host's bridge by its name would not know these.
  if (index_ == 0 || hasRoom(0) || bridgesAreFiltered()) return 0;
  Number number = 1;
  while (leaving_.contains(number) || !hasRoom(number)) ++number;
  return number;
}

void InnerBridges::note(const std::string& link, Number number) {
  for (auto& [other, links] : links_) links.erase(link);
  links_[number].insert(link);
}

/** The inner bridge stays if it is there already. */
Status InnerBridges::join(Number number) {
  const std::string inner = innerName(number), uplink = uplinkName(number);
  DROVER_TRY(destroyLink(uplink));
  if (!linkExists(inner)) DROVER_TRY(createBridge(inner));
  Status joined = joinBridges(bridge_, uplink, inner, downlinkName(number));
  // By halves it would be a network of its own.
  if (!joined.ok()) {
    warn(destroyLink(uplink));
    if (auto ports = portsOf(inner); ports.ok() && ports.value().empty()) warn(destroyLink(inner));
  }
  return joined;
}

/** Waits for grace periods of the kernel. Its links went before. */
void InnerBridges::remove(Number number) {
  const std::string inner = innerName(number), downlink = downlinkName(number);
  {
    std::lock_guard lock(mutex_);
    auto found = links_.find(number);
    if (found == links_.end() || !found->second.empty()) return;
    auto ports = portsOf(inner);
    if (!ports.ok()) return warn(ports.error());
    if (std::ranges::any_of(ports.value(), [&](const std::string& port) { return port != downlink; })) return;
    links_.erase(found);
    leaving_.insert(number);
  }
  warn(destroyLink(uplinkName(number)));
  warn(destroyLink(inner));
  std::lock_guard lock(mutex_);
  leaving_.erase(number);
}

}  // namespace drover
