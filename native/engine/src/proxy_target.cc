// See proxy_target.h; connecting by /proc/self/fd keeps the path resolved within the container's root (unix(7), openat2(2)).
#include "proxy_target.h"

#include <fcntl.h>
#include <sys/un.h>

#include <cstdio>

#include "netlink.h"
#include "netlink_message.h"
#include "pidfd.h"
#include "within_root.h"

namespace drover {

namespace {

Status stillThere(const ProxyTarget& target) {
  return processStartTime(target.init) == target.startTime ? Status() : Status(engineError("its init has ended"));
}

Status connecting(int socket, const sockaddr* address, socklen_t length) {
  if (connect(socket, address, length) == 0 || errno == EINPROGRESS) return {};
  return errnoError("connect");
}

Result<UniqueFd> connectLocal(const ProxyTarget& target) {
  UniqueFd root(open(("/proc/" + std::to_string(target.init) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return errnoError("open its root");
  DROVER_TRY(stillThere(target));
  UniqueFd there = openWithin(root.get(), target.address.path, O_PATH);
  if (!there.valid()) return errnoError("find " + target.address.path);
  UniqueFd made(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.valid()) return errnoError("make a socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", there.get());
  DROVER_TRY(connecting(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  return made;
}

}  // namespace

Result<UniqueFd> connectInside(const ProxyTarget& target) {
  if (target.address.kind == ProxyAddress::Kind::local) return connectLocal(target);
  DROVER_TRY_ASSIGN(network, openNetworkNamespace(target.init));
  DROVER_TRY(stillThere(target));
  const int type = target.address.stream() ? SOCK_STREAM : SOCK_DGRAM;
  DROVER_TRY_ASSIGN(made, socketInside(network.get(), target.address.address.ss_family, type | SOCK_NONBLOCK, 0));
  DROVER_TRY(connecting(made.get(), reinterpret_cast<const sockaddr*>(&target.address.address), target.address.length));
  return made;
}

}  // namespace drover
