// See proxy_address.h.
#include "proxy_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>

namespace drover {

namespace {

std::optional<uint16_t> portOf(const std::string& text) {
  unsigned port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65'535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

bool fill(ProxyAddress& target, const std::string& host, uint16_t port) {
  auto& four = reinterpret_cast<sockaddr_in&>(target.address);
  auto& six = reinterpret_cast<sockaddr_in6&>(target.address);
  if (inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    target.length = sizeof four;
    return true;
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed || inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six.sin6_addr) != 1) return false;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  target.length = sizeof six;
  return true;
}

}  // namespace

std::optional<ProxyAddress> parseProxyAddress(const std::string& text) {
  const size_t colon = text.find(':'), last = text.rfind(':');
  // inet_pton would not look beyond a zero byte.
  if (colon == std::string::npos || text.find('\0') != std::string::npos) return std::nullopt;
  const std::string kind = text.substr(0, colon);
  ProxyAddress parsed;
  if (kind == "unix") {
    parsed.kind = ProxyAddress::Kind::local;
    parsed.path = text.substr(colon + 1);
    const bool plain = parsed.path.size() > 1 && parsed.path.front() == '/' && parsed.path.back() != '/';
    return plain && parsed.path.size() < sizeof(sockaddr_un::sun_path) ? std::optional(parsed) : std::nullopt;
  }
  if ((kind != "tcp" && kind != "udp") || last == colon) return std::nullopt;
  parsed.kind = kind == "tcp" ? ProxyAddress::Kind::tcp : ProxyAddress::Kind::udp;
  auto port = portOf(text.substr(last + 1));
  if (!port || !fill(parsed, text.substr(colon + 1, last - colon - 1), *port)) return std::nullopt;
  return parsed;
}

}  // namespace drover
