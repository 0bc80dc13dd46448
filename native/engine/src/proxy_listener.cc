// Takes the address of a proxy on the host. See proxy_listener.h.
#include "proxy_listener.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>

namespace drover {

namespace {

sockaddr_un pathAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  return address;
}

/** A socket at which nobody listens any more, of an engine that was killed, say. */
bool abandoned(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  UniqueFd tried(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address = pathAddress(path);
  return tried.valid() && connect(tried.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
}

Status bindPath(int socket, const Device& device, const std::string& path) {
  if (abandoned(path)) (void)unlink(path.c_str());
  sockaddr_un address = pathAddress(path);
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return errnoError("listen at " + device.listen);
  if (chmod(path.c_str(), device.mode) != 0 || lchown(path.c_str(), device.uid, device.gid) != 0) return errnoError("give " + path + " its owner");
  return {};
}

Status bindAddress(int socket, const Device& device, const ProxyAddress& address) {
  const int yes = 1;
  // So that what an earlier engine's connections left behind keeps nobody off; a port that is listened at stays taken. Of datagrams it
  // would let two have the same port.
  if (address.stream()) (void)setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address.address.ss_family == AF_INET6) (void)setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  if (bind(socket, reinterpret_cast<const sockaddr*>(&address.address), address.length) != 0) return errnoError("listen at " + device.listen);
  return {};
}

}  // namespace

Result<std::unique_ptr<ProxyListener>> ProxyListener::bind(EventLoop& loop, const Device& device) {
  auto address = parseProxyAddress(device.listen);
  if (!address) return engineError("listen at " + device.listen + ": no such kind of address");
  const bool local = address->kind == ProxyAddress::Kind::local;
  const int family = local ? AF_UNIX : address->address.ss_family;
  UniqueFd made(socket(family, (address->stream() ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.valid()) return errnoError("listen at " + device.listen);
  DROVER_TRY(local ? bindPath(made.get(), device, address->path) : bindAddress(made.get(), device, *address));
  return address->stream() ? makeStreamProxy(loop, device, std::move(made)) : makeDatagramProxy(loop, device, std::move(made));
}

ProxyListener::~ProxyListener() {
  if (auto address = parseProxyAddress(device_.listen); address && address->kind == ProxyAddress::Kind::local) (void)unlink(address->path.c_str());
}

}  // namespace drover
