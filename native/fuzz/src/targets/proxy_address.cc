// Addresses of proxies, which whoever sets one chooses.
#include "proxy_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "target.h"

using namespace drover;

namespace {

/** As the kernel would write it. */
std::string textOf(const ProxyAddress& address) {
  if (address.kind == ProxyAddress::Kind::local) return "unix:" + address.path;
  const bool four = address.address.ss_family == AF_INET;
  const auto& in4 = reinterpret_cast<const sockaddr_in&>(address.address);
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address.address);
  char host[INET6_ADDRSTRLEN];
  must(inet_ntop(address.address.ss_family, four ? static_cast<const void*>(&in4.sin_addr) : &in6.sin6_addr, host, sizeof host) != nullptr, "an address can be written");
  const std::string name = four ? host : std::string("[") + host + "]";
  return (address.stream() ? "tcp:" : "udp:") + name + ":" + std::to_string(ntohs(four ? in4.sin_port : in6.sin6_port));
}

void run(std::string_view input) {
  auto address = parseProxyAddress(std::string(input));
  if (!address) return;
  must(input.find('\0') == std::string_view::npos, "all of it was read");
  if (address->kind == ProxyAddress::Kind::local) must(address->path.starts_with('/') && address->path.size() < sizeof(sockaddr_un::sun_path), "a path fits");
  auto again = parseProxyAddress(textOf(*address));
  must(again && again->kind == address->kind && again->path == address->path && again->length == address->length &&
           memcmp(&again->address, &address->address, sizeof address->address) == 0,
       "an address comes back from its own words");
}

const Registered registered("proxy-address", run);

}  // namespace
