// See socket_options.h, pidfd_getfd(2).
#include "socket_options.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <set>

#include "file_io.h"
#include "multicast_groups.h"
#include "netlink.h"
#include "netlink_message.h"
#include "pidfd.h"
#include "process_text.h"
#include "socket_option_list.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr const char* fileName = "socket-options";
constexpr size_t largestFile = 64 << 20;

/** What a kind of socket has. */
bool has(int domain, int type, int protocol, int level) {
  const bool isInternet = domain == AF_INET || domain == AF_INET6;
  if (level == SOL_SOCKET) return true;
  if (level == IPPROTO_IP) return isInternet;
  if (level == IPPROTO_IPV6) return domain == AF_INET6;
  if (level == SOL_NETLINK) return domain == AF_NETLINK;
  if (level == SOL_RAW) return domain == AF_INET && type == SOCK_RAW;
  return isInternet && level == protocol;
}

/** None: it has no such option. */
std::optional<std::string> valueOf(int socket, int level, int option) {
  char value[longestSocketOption];
  socklen_t length = sizeof value;
  if (getsockopt(socket, level, option, value, &length) != 0) return std::nullopt;
  return std::string(value, length);
}

int numberOf(int socket, int option) {
  auto value = valueOf(socket, SOL_SOCKET, option);
  int number = -1;
  if (value && value->size() == sizeof number) memcpy(&number, value->data(), sizeof number);
  return number;
}

struct Kind {
  int domain, type, protocol;
  auto operator<=>(const Kind&) const = default;
};

/** Those of a new socket, by level and option. */
using Values = std::map<std::pair<int, int>, std::string>;

Values valuesOf(int socket, const Kind& kind) {
  Values values;
  for (const SocketOptions& each : carriedSocketOptions()) {
    if (!has(kind.domain, kind.type, kind.protocol, each.level)) continue;
    for (int option : each.options)
      if (auto value = valueOf(socket, each.level, option)) values[{each.level, option}] = *value;
  }
  return values;
}

pid_t insideOf(pid_t process) {
  auto status = readFile("/proc/" + std::to_string(process) + "/status", 16 << 10);
  return status.ok() ? static_cast<pid_t>(lastNumberAfter(status.value(), "NSpid:")) : 0;
}

/** Descriptors of a process that are sockets, with the number of each socket. */
std::vector<std::pair<int, std::string>> socketsOf(pid_t process) {
  std::vector<std::pair<int, std::string>> found;
  const std::string path = "/proc/" + std::to_string(process) + "/fd";
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return found;
  while (const dirent* entry = readdir(directory)) {
    char target[64];
    const ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target);
    const std::string_view link(target, length > 0 ? static_cast<size_t>(length) : 0);
    if (link.starts_with("socket:")) found.emplace_back(atoi(entry->d_name), std::string(link));
  }
  closedir(directory);
  return found;
}

class Collector {
 public:
  Status add(pid_t process) {
    const auto sockets = socketsOf(process);
    if (sockets.empty()) return {};
    auto pidfd = openPidfd(process);
    const pid_t inside = insideOf(process);
    if (!pidfd.ok() || inside == 0) return {};
    for (const auto& [descriptor, number] : sockets) {
      if (!seen_.insert(number).second) continue;
      UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.value().get(), descriptor, 0)));
      if (copy.valid()) addSocket(copy.get(), process, inside, descriptor);
    }
    return {};
  }
  const std::vector<SocketOption>& found() const { return found_; }

 private:
  void addSocket(int socket, pid_t process, pid_t inside, int descriptor) {
    const Kind kind = {numberOf(socket, SO_DOMAIN), numberOf(socket, SO_TYPE), numberOf(socket, SO_PROTOCOL)};
    const Values& usual = usualOf(process, kind);
    if (usual.empty()) return;
    // In the order of the table: see there.
    const Values values = valuesOf(socket, kind);
    for (const SocketOptions& each : carriedSocketOptions())
      for (int option : each.options) {
        auto is = values.find({each.level, option});
        auto new_ = usual.find({each.level, option});
        if (is == values.end() || (new_ != usual.end() && new_->second == is->second)) continue;
        found_.push_back({inside, descriptor, each.level, option, "", is->second});
      }
    if (kind.domain != AF_INET && kind.domain != AF_INET6) return;
    if (!groups_) groups_ = multicastGroups(process);
    for (const MulticastGroup& group : *groups_)
      if (auto filter = membershipOf(socket, group)) found_.push_back({inside, descriptor, group.level(), MCAST_MSFILTER, group.interface, *filter});
  }

  /** Of a new socket in the same network; empty: there is none of that kind. */
  const Values& usualOf(pid_t process, const Kind& kind) {
    auto known = usual_.find(kind);
    if (known != usual_.end()) return known->second;
    if (!network_.valid())
      if (auto opened = openNetworkNamespace(process); opened.ok()) network_ = std::move(opened.value());
    auto made = socketInside(network_.get(), kind.domain, kind.type, kind.protocol);
    return usual_[kind] = made.ok() ? valuesOf(made.value().get(), kind) : Values();
  }

  std::set<std::string> seen_;
  std::map<Kind, Values> usual_;
  std::optional<std::vector<MulticastGroup>> groups_;
  UniqueFd network_;
  std::vector<SocketOption> found_;
};

void give(int socket, const SocketOption& option) {
  if (option.option == MCAST_MSFILTER) return joinGroup(socket, option.level, option.name, option.value);
  // What CRIU or an option before has set is as it should be.
  if (valueOf(socket, option.level, option.option) == option.value) return;
  std::string_view value = option.value;
  // A name, told with all the room that it has.
  if (option.level == IPPROTO_TCP && option.option == TCP_CONGESTION) value = value.substr(0, value.find('\0'));
  (void)setsockopt(socket, option.level, option.option, value.data(), static_cast<socklen_t>(value.size()));
}

}  // namespace

Status saveSocketOptions(const std::vector<pid_t>& processes, int directory) {
  Collector collector;
  for (pid_t process : processes) DROVER_TRY(collector.add(process));
  const std::string text = formatSocketOptions(collector.found());
  if (text.empty()) return {};
  UniqueFd file(openat(directory, fileName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return errnoError(std::string("write ") + fileName);
  return {};
}

Status restoreSocketOptions(const std::vector<pid_t>& processes, int directory) {
  if (faccessat(directory, fileName, F_OK, 0) != 0) return {};
  DROVER_TRY_ASSIGN(text, readFile("/proc/self/fd/" + std::to_string(directory) + "/" + fileName, largestFile));
  const auto options = parseSocketOptions(text);
  if (!options) return engineError(std::string(fileName) + " is not a list of options of sockets");
  std::map<pid_t, pid_t> outside;
  for (pid_t process : processes) outside[insideOf(process)] = process;
  UniqueFd pidfd, socket;
  const SocketOption* last = nullptr;
  for (const SocketOption& option : *options) {
    if (!last || last->process != option.process) {
      auto found = outside.find(option.process);
      auto opened = found == outside.end() ? Result<UniqueFd>(UniqueFd()) : openPidfd(found->second);
      pidfd = opened.ok() ? std::move(opened.value()) : UniqueFd();
    }
    if (!last || last->process != option.process || last->descriptor != option.descriptor)
      socket = pidfd.valid() ? UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), option.descriptor, 0))) : UniqueFd();
    if (socket.valid()) give(socket.get(), option);
    last = &option;
  }
  return {};
}

}  // namespace drover
