// Options of sockets, set to what is not usual, and membership in multicast groups: all that getsockopt tells is the same afterwards.

#include <linux/udp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <net/if.h>

#include "probe.h"

PROBE(tcp, "options-tcp", "options of TCP sockets, listening and connected");
PROBE(udp, "options-udp", "options of UDP sockets");
PROBE(raw, "options-raw", "options and filters of raw ICMP sockets");
PROBE(local, "options-unix", "options of unix sockets");
PROBE(multicast, "multicast", "IPv4 and IPv6 multicast groups, one of them with one sender alone");

struct option {
  int level, option, value;
  const char *name;
  /** As it was after it was set, in the order of `sockets`. */
  int is[3];
};
#define OPTION(level, option, value) {level, option, value, #option, {0}}

enum { most_sockets = 3 };

static struct option tcp_options[] = {
    OPTION(SOL_SOCKET, SO_KEEPALIVE, 1),      OPTION(SOL_SOCKET, SO_PRIORITY, 5),       OPTION(SOL_SOCKET, SO_RCVLOWAT, 3),
    OPTION(SOL_SOCKET, SO_OOBINLINE, 1),      OPTION(SOL_SOCKET, SO_TIMESTAMP, 1),      OPTION(SOL_SOCKET, SO_ZEROCOPY, 1),
    OPTION(SOL_SOCKET, SO_MAX_PACING_RATE, 1000000), OPTION(SOL_SOCKET, SO_REUSEADDR, 1),
    OPTION(IPPROTO_TCP, TCP_NODELAY, 1),      OPTION(IPPROTO_TCP, TCP_KEEPIDLE, 77),    OPTION(IPPROTO_TCP, TCP_KEEPINTVL, 11),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT, 4),      OPTION(IPPROTO_TCP, TCP_SYNCNT, 3),       OPTION(IPPROTO_TCP, TCP_LINGER2, 20),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000), OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384), OPTION(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1),
    OPTION(IPPROTO_TCP, TCP_SAVE_SYN, 1),     OPTION(IPPROTO_TCP, TCP_INQ, 1),          OPTION(IPPROTO_IP, IP_TOS, 0x10),
    OPTION(IPPROTO_IP, IP_TTL, 33),           OPTION(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT), OPTION(IPPROTO_IP, IP_MINTTL, 7),
    OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1),
};

static struct option udp_options[] = {
    OPTION(SOL_SOCKET, SO_BROADCAST, 1),      OPTION(SOL_SOCKET, SO_TIMESTAMPNS, 1),    OPTION(SOL_SOCKET, SO_RXQ_OVFL, 1),
    OPTION(SOL_SOCKET, SO_NO_CHECK, 1),       OPTION(SOL_SOCKET, SO_PRIORITY, 6),       OPTION(IPPROTO_UDP, UDP_GRO, 1),
    OPTION(IPPROTO_UDP, UDP_SEGMENT, 512),    OPTION(IPPROTO_IP, IP_PKTINFO, 1),        OPTION(IPPROTO_IP, IP_RECVERR, 1),
    OPTION(IPPROTO_IP, IP_RECVTTL, 1),        OPTION(IPPROTO_IP, IP_RECVTOS, 1),        OPTION(IPPROTO_IP, IP_RECVOPTS, 1),
    OPTION(IPPROTO_IP, IP_FREEBIND, 1),       OPTION(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE), OPTION(IPPROTO_IP, IP_TOS, 0x20),
    OPTION(IPPROTO_IP, IP_MULTICAST_TTL, 5),  OPTION(IPPROTO_IP, IP_MULTICAST_LOOP, 0), OPTION(IPPROTO_IP, IP_MULTICAST_ALL, 0),
    OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), OPTION(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1), OPTION(IPPROTO_IPV6, IPV6_RECVTCLASS, 1),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS, 0x30),  OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9), OPTION(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 4),
    OPTION(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0), OPTION(IPPROTO_IPV6, IPV6_MULTICAST_IF, 1), OPTION(IPPROTO_IPV6, IPV6_RECVERR, 1),
    OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO), OPTION(IPPROTO_IPV6, IPV6_DONTFRAG, 1), OPTION(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0),
};

static struct option raw_options[] = {
    OPTION(IPPROTO_IP, IP_HDRINCL, 1), OPTION(IPPROTO_IP, IP_RECVERR, 1), OPTION(IPPROTO_IP, IP_TTL, 3), OPTION(SOL_RAW, 1 /* ICMP_FILTER */, 1 << 3),
    OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), OPTION(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1),
};

static struct option unix_options[] = {
    OPTION(SOL_SOCKET, SO_PASSCRED, 1), OPTION(SOL_SOCKET, SO_PEEK_OFF, 0), OPTION(SOL_SOCKET, SO_TIMESTAMP, 1), OPTION(SOL_SOCKET, SO_RCVLOWAT, 2),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
static int sockets[most_sockets], socket_count;

static int value_of(int fd, const struct option *option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, option->level, option->option, &value, &size) == 0 ? value : -12345;
}

// What can't be set for a socket stays as it is, and is compared as well. Some change others.
static void set_options(struct option *options, size_t count) {
  for (size_t at = 0; at < count; at++)
    for (int each = 0; each < socket_count; each++) setsockopt(sockets[each], options[at].level, options[at].option, &options[at].value, sizeof(int));
  for (size_t at = 0; at < count; at++)
    for (int each = 0; each < socket_count; each++) options[at].is[each] = value_of(sockets[each], &options[at]);
}

static verdict compare_options(const struct option *options, size_t count) {
  static char differ[300];
  size_t length = 0;
  differ[0] = 0;
  for (size_t at = 0; at < count; at++)
    for (int each = 0; each < socket_count; each++) {
      const int value = value_of(sockets[each], &options[at]);
      if (value == options[at].is[each] || length > sizeof differ - 60) continue;
      length += (size_t)snprintf(differ + length, sizeof differ - length, " %s of %d: %d, was %d;", options[at].name, each, value, options[at].is[each]);
    }
  CHECK(length == 0, "other options:%s", differ);
  return NULL;
}

static verdict tcp_setup(void) {
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
  struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof any;
  MUST(sockets[0] = socket(AF_INET6, SOCK_STREAM, 0));
  MUST(bind(sockets[0], (struct sockaddr *)&any, sizeof any));
  MUST(listen(sockets[0], 5));
  MUST(getsockname(sockets[0], (struct sockaddr *)&any, &length));
  loopback.sin_port = any.sin6_port;
  MUST(sockets[1] = socket(AF_INET, SOCK_STREAM, 0));
  MUST(connect(sockets[1], (struct sockaddr *)&loopback, sizeof loopback));
  MUST(sockets[2] = accept(sockets[0], NULL, NULL));
  socket_count = 3;
  set_options(tcp_options, COUNT(tcp_options));
  MUST(setsockopt(sockets[1], IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
  return NULL;
}

static verdict tcp_check(void) {
  char congestion[16] = "";
  socklen_t length = sizeof congestion;
  TRY(compare_options(tcp_options, COUNT(tcp_options)));
  MUST(getsockopt(sockets[1], IPPROTO_TCP, TCP_CONGESTION, congestion, &length));
  CHECK(!strcmp(congestion, "reno"), "congestion control is %s", congestion);
  return NULL;
}

static verdict udp_setup(void) {
  struct sockaddr_in any4 = {.sin_family = AF_INET};
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
  MUST(sockets[0] = socket(AF_INET, SOCK_DGRAM, 0));
  MUST(sockets[1] = socket(AF_INET6, SOCK_DGRAM, 0));
  MUST(bind(sockets[0], (struct sockaddr *)&any4, sizeof any4));
  MUST(bind(sockets[1], (struct sockaddr *)&any6, sizeof any6));
  socket_count = 2;
  set_options(udp_options, COUNT(udp_options));
  return NULL;
}

static verdict udp_check(void) { return compare_options(udp_options, COUNT(udp_options)); }

static verdict raw_setup(void) {
  MUST(sockets[0] = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  MUST(sockets[1] = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  socket_count = 2;
  set_options(raw_options, COUNT(raw_options));
  struct icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  MUST(setsockopt(sockets[1], IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter));
  return NULL;
}

static verdict raw_check(void) {
  struct icmp6_filter filter = {0};
  socklen_t length = sizeof filter;
  TRY(compare_options(raw_options, COUNT(raw_options)));
  MUST(getsockopt(sockets[1], IPPROTO_ICMPV6, ICMP6_FILTER, &filter, &length));
  CHECK(ICMP6_FILTER_WILLPASS(ICMP6_ECHO_REPLY, &filter) && ICMP6_FILTER_WILLBLOCK(ICMP6_ECHO_REQUEST, &filter), "another ICMPv6 filter");
  return NULL;
}

static verdict local_setup(void) {
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
  socket_count = 2;
  set_options(unix_options, COUNT(unix_options));
  return NULL;
}

static verdict local_check(void) { return compare_options(unix_options, COUNT(unix_options)); }

// multicast
static const char *const groups[] = {"239.7.7.7", "ff05::77", "232.7.7.7"};
static const char *const only_sender = "192.0.2.77";

static struct sockaddr_storage address_of(const char *text) {
  struct sockaddr_storage address = {0};
  struct sockaddr_in *four = (struct sockaddr_in *)&address;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) four->sin_family = AF_INET;
  else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) six->sin6_family = AF_INET6;
  return address;
}

static int level_of(const char *group) { return strchr(group, ':') ? IPPROTO_IPV6 : IPPROTO_IP; }

static verdict multicast_setup(void) {
  for (int at = 0; at < most_sockets; at++) {
    MUST(sockets[at] = socket(level_of(groups[at]) == IPPROTO_IP ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
    struct group_source_req request = {.gsr_interface = if_nametoindex("eth0"), .gsr_group = address_of(groups[at]), .gsr_source = address_of(only_sender)};
    struct group_req plain = {.gr_interface = request.gsr_interface, .gr_group = request.gsr_group};
    if (at == 2) MUST(setsockopt(sockets[at], IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request));
    else MUST(setsockopt(sockets[at], level_of(groups[at]), MCAST_JOIN_GROUP, &plain, sizeof plain));
  }
  return NULL;
}

static verdict multicast_check(void) {
  for (int at = 0; at < most_sockets; at++) {
    struct group_filter filter = {.gf_interface = if_nametoindex("eth0"), .gf_group = address_of(groups[at]), .gf_numsrc = 1};
    socklen_t length = sizeof filter;
    CHECK(getsockopt(sockets[at], level_of(groups[at]), MCAST_MSFILTER, &filter, &length) == 0, "not in %s: %s", groups[at], strerror(errno));
    const int wanted = at == 2 ? MCAST_INCLUDE : MCAST_EXCLUDE;
    CHECK((int)filter.gf_fmode == wanted && filter.gf_numsrc == (at == 2), "in %s with mode %d and %u senders", groups[at], filter.gf_fmode, filter.gf_numsrc);
    if (at == 2) CHECK(((struct sockaddr_in *)filter.gf_slist)->sin_addr.s_addr == inet_addr(only_sender), "in %s with another sender", groups[at]);
  }
  return NULL;
}
