// Where a proxy listens, and to what it connects: `tcp:0.0.0.0:8080`, `udp:[::1]:53`, `unix:/run/app.sock`. No effects; fuzzed as
// `proxy-address`.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

namespace drover {

struct ProxyAddress {
  enum class Kind { tcp, udp, local };
  Kind kind = Kind::tcp;
  /** Of tcp and udp. */
  sockaddr_storage address = {};
  socklen_t length = 0;
  /** Of a socket in the file system. */
  std::string path;

  bool stream() const { return kind != Kind::udp; }
};

/** Nothing where the text is none: a numeric address, IPv6 in brackets, a port from 1 to 65535; or an absolute path. */
std::optional<ProxyAddress> parseProxyAddress(const std::string& text);

}  // namespace drover
