// UDP and netlink: bound, connected, with datagrams waiting.

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "probe.h"

PROBE(udp4, "udp4", "UDP over IPv4, bound and connected, still usable");
PROBE(udp6, "udp6", "UDP over IPv6, bound and connected, still usable");
PROBE(queued, "udp-queued", "UDP with unread datagrams (may be lost, as UDP may)");
PROBE(netlink, "netlink", "a netlink socket without unread data");
PROBE(unread, "netlink-unread", "a netlink socket with an unread answer");

static int bound, connected, route;
static const char text[] = "a datagram";

static verdict open_pair(int family) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
  socklen_t length = family == AF_INET6 ? sizeof v6 : sizeof v4;
  bound = socket(family, SOCK_DGRAM, 0);
  if (bound < 0 || bind(bound, address, length) < 0) {
    if (family == AF_INET6) return absent("no IPv6 here: %s", strerror(errno));
    return bad("bind: %s", strerror(errno));
  }
  MUST(getsockname(bound, address, &length));
  MUST(connected = socket(family, SOCK_DGRAM, 0));
  MUST(connect(connected, address, length));
  return NULL;
}

static verdict exchange(void) {
  TRY(put(connected, text, sizeof text));
  return expect(bound, text, sizeof text);
}

static verdict udp4_setup(void) { return open_pair(AF_INET); }
static verdict udp4_check(void) { return exchange(); }
static verdict udp6_setup(void) { return open_pair(AF_INET6); }
static verdict udp6_check(void) { return exchange(); }

static verdict queued_setup(void) {
  TRY(open_pair(AF_INET));
  return put(connected, text, sizeof text);
}

static verdict queued_check(void) {
  char buffer[sizeof text];
  while (readable(bound, 0)) CHECK(read(bound, buffer, sizeof buffer) == sizeof text && !memcmp(buffer, text, sizeof text), "a datagram was changed");
  TRY(exchange());
  return put(connected, text, sizeof text);
}

static verdict ask_links(void) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg info;
  } request = {{.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 7}, {.ifi_family = AF_UNSPEC}};
  MUST(send(route, &request, sizeof request, 0));
  CHECK(readable(route, 5000), "netlink does not answer");
  return NULL;
}

static verdict drain(void) {
  char buffer[16384];
  while (readable(route, 50))
    if (recv(route, buffer, sizeof buffer, MSG_DONTWAIT) < 0) return bad("netlink: %s", strerror(errno));
  return NULL;
}

static verdict netlink_setup(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  MUST(route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  MUST(bind(route, (struct sockaddr *)&address, sizeof address));
  return NULL;
}

static verdict netlink_check(void) {
  TRY(ask_links());
  return drain();
}

static verdict unread_setup(void) {
  TRY(netlink_setup());
  return ask_links();
}

static verdict unread_check(void) { return readable(route, 0) ? NULL : bad("the unread answer is gone"); }
