// See network_sysctls.h, Documentation/networking/ip-sysctl.rst. /proc/sys/net shows the namespace of the thread that looks: one that ends afterwards.
#include "network_sysctls.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "netlink.h"
#include "network_links.h"
#include "route_messages.h"
#include "unique_fd.h"

namespace drover {
namespace {

namespace fs = std::filesystem;

constexpr const char* top = "/proc/sys/net";
constexpr const char* usualLink = "eth0";
constexpr size_t longestValue = 4096;
constexpr size_t most = 100'000;
/** Values by path below /proc/sys/net. */
using Values = std::map<std::string, std::string>;

template <class Work>
Status inNamespace(int networkNamespace, Work work) {
  Status done;
  std::thread([&] {
    const int moved = networkNamespace < 0 ? unshare(CLONE_NEWNET) : setns(networkNamespace, CLONE_NEWNET);
    if (moved == 0) done = work();
    else done = errnoError("enter the network namespace of the container");
  }).join();
  return done;
}

/** None: it can't be read. */
bool readValue(int directory, const std::string& path, std::string& value) {
  UniqueFd file(openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  char text[longestValue];
  const ssize_t length = file.valid() ? read(file.get(), text, sizeof text) : -1;
  if (length >= 0) value.assign(text, static_cast<size_t>(length));
  return length >= 0;
}

/**
 * Not those of which a value says nothing on another host, or is another's: loggers, group ids as the host counts them, what the engine has chosen for eth0,
 * and of lo what is asked of neighbours. ip_forward is conf/all/forwarding.
 */
bool isCarried(const std::string& path) {
  for (const char* part : {"netfilter/nf_log", "neigh/lo/", "ping_group_range", "ipv4/ip_forward", "/stable_secret", "/eth0/addr_gen_mode"})
    if (path.find(part) != std::string::npos) return false;
  return true;
}

/** What rtnetlink tells of its variables in conf, all in one piece. */
std::string confOf(const RouteMessage& link) {
  std::string conf;
  auto families = link.attribute<ifinfomsg>(IFLA_AF_SPEC);
  for (const auto& family : routeAttributes(families ? families->data : std::string_view()))
    for (const auto& each : routeAttributes(family.data))
      if ((family.type == AF_INET && each.type == IFLA_INET_CONF) || (family.type == AF_INET6 && each.type == IFLA_INET6_CONF)) conf += each.data;
  return conf;
}

/** As it is in a new namespace. */
struct NewNamespace {
  /** What there is to carry at all. */
  Values values;
  /** Of lo, and of eth0 as the engine makes it with an IPv6 address and without. */
  std::set<std::string> confs;

  Status learnConfs() {
    DROVER_TRY_ASSIGN(here, NetlinkSocket::open(-1));
    DROVER_TRY_ASSIGN(links, dumpLinks(here));
    for (const RouteMessage& link : splitMessages(links)) confs.insert(confOf(link));
    return {};
  }
};

const NewNamespace& newNamespace() {
  static const NewNamespace made = [] {
    NewNamespace fresh;
    Values& found = fresh.values;
    (void)inNamespace(-1, [&]() -> Status {
      DROVER_TRY(createPair(usualLink, "peer0"));
      UniqueFd directory(open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      std::error_code error;
      for (fs::recursive_directory_iterator each(top, fs::directory_options::skip_permission_denied, error), end; !error && each != end; each.increment(error)) {
        constexpr auto both = fs::perms::owner_read | fs::perms::owner_write;
        if (!each->is_regular_file(error) || (each->status(error).permissions() & both) != both) continue;
        const std::string path = each->path().string().substr(std::string(top).size() + 1);
        std::string value;
        if (path.find("/peer0/") == std::string::npos && isCarried(path) && readValue(directory.get(), path, value)) found[path] = value;
      }
      DROVER_TRY(fresh.learnConfs());
      DROVER_TRY(bringUpUnnumbered(usualLink));
      return fresh.learnConfs();
    });
    return fresh;
  }();
  return made;
}

/** Those of eth0, as of another link; empty: it's not one of a link. */
std::string asOf(const std::string& link, const std::string& path) {
  const std::string part = std::string("/") + usualLink + "/";
  const size_t at = path.find(part);
  return at == std::string::npos ? "" : path.substr(0, at + 1) + link + path.substr(at + part.size() - 1);
}

/** A change of one may change others of its directory: all are kept. */
void keepDirectories(Values& values, const Values& usual) {
  auto directoryOf = [](const std::string& path) { return path.substr(0, path.rfind('/') + 1); };
  std::map<std::string, bool> changed;
  for (const auto& [path, value] : values) changed[directoryOf(path)] = changed[directoryOf(path)] || usual.at(path) != value;
  // These hold many that have nothing to do with each other.
  auto isKept = [&](const std::string& path, const std::string& value) {
    return path.find("/conf/") == std::string::npos ? usual.at(path) != value : changed[directoryOf(path)];
  };
  std::erase_if(values, [&](const auto& each) { return !isKept(each.first, each.second); });
}

/** Of conf/all before the others, since they change those; and what changes others of the same place before those. */
int turnOf(const std::string& path) {
  const bool changesOthers = path.ends_with("/forwarding") || path.ends_with("/disable_ipv6");
  return (path.find("/conf/all/") != std::string::npos ? 0 : 2) + (changesOthers ? 0 : 1);
}

Values parse(std::string_view text) {
  Values values;
  while (values.size() < most) {
    const size_t middle = text.find('\0'), end = middle == std::string_view::npos ? middle : text.find('\0', middle + 1);
    if (end == std::string_view::npos) break;
    const std::string path(text.substr(0, middle));
    // Nothing outside of it, whoever made the text.
    const bool isBelow = !path.empty() && path[0] != '/' && ("/" + path + "/").find("/../") == std::string::npos;
    if (isBelow && isCarried(path)) values[path] = std::string(text.substr(middle + 1, end - middle - 1));
    text.remove_prefix(end + 1);
  }
  return values;
}

}  // namespace

void learnNetworkSysctls() { (void)newNamespace(); }

Result<std::string> dumpNetworkSysctls(int networkNamespace, std::string_view links) {
  const NewNamespace& fresh = newNamespace();
  Values usual = fresh.values, values;
  for (const RouteMessage& link : splitMessages(links)) {
    auto named = link.attribute<ifinfomsg>(IFLA_IFNAME);
    const std::string name = named ? named->text() : "";
    if (name == "lo" || name == usualLink) {
      if (fresh.confs.contains(confOf(link))) std::erase_if(usual, [&](const auto& each) { return each.first.find("/conf/" + name + "/") != std::string::npos; });
      continue;
    }
    for (const auto& [path, value] : fresh.values)
      if (const std::string other = asOf(name, path); !other.empty()) usual[other] = value;
  }
  DROVER_TRY(inNamespace(networkNamespace, [&]() -> Status {
    UniqueFd directory(open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return errnoError("open the sysctls");
    for (const auto& [path, value] : usual)
      if (std::string is; readValue(directory.get(), path, is)) values[path] = is;
    return {};
  }));
  keepDirectories(values, usual);
  std::string text;
  for (const auto& [path, value] : values) text += path + '\0' + value + '\0';
  return text;
}

Status restoreNetworkSysctls(int networkNamespace, std::string_view sysctls) {
  const Values values = parse(sysctls);
  std::vector<std::pair<std::string, std::string>> ordered(values.begin(), values.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& left, const auto& right) { return turnOf(left.first) < turnOf(right.first); });
  return inNamespace(networkNamespace, [&]() -> Status {
    UniqueFd directory(open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return errnoError("open the sysctls");
    // Again, for what another one has changed.
    for (int round = 0; round < 2; round++) {
      for (const auto& [path, value] : ordered) {
        std::string is;
        if (!readValue(directory.get(), path, is) || is == value) continue;
        UniqueFd file(openat(directory.get(), path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!file.valid() || write(file.get(), value.data(), value.size()) >= 0 || round == 0) continue;
        return errnoError("write net/" + path + " of the container");
      }
    }
    return {};
  });
}

}  // namespace drover
