// TCP: a listener, an established pair with data queued on both sides, socket options, and a new connection after the move.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "probe.h"

PROBE(tcp4, "tcp4", "TCP over IPv4: listening, established, data queued both ways");
PROBE(tcp6, "tcp6", "TCP over IPv6: listening, established, data queued both ways");
PROBE(half, "tcp-half-closed", "TCP with one direction shut down");
PROBE(backlog, "tcp-backlog", "TCP connections that nobody has accepted yet");

static int listener, client, server;
static const char there[] = "to the server, unread", back[] = "to the client, unread";

static verdict open_pair(int family) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
  socklen_t length = family == AF_INET6 ? sizeof v6 : sizeof v4;
  listener = socket(family, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, address, length) < 0) {
    if (family == AF_INET6) return absent("no IPv6 here: %s", strerror(errno));
    return bad("bind: %s", strerror(errno));
  }
  MUST(listen(listener, 5));
  MUST(getsockname(listener, address, &length));
  MUST(client = socket(family, SOCK_STREAM, 0));
  MUST(connect(client, address, length));
  MUST(server = accept(listener, NULL, NULL));
  int on = 1, idle = 77;
  MUST(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  MUST(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
  MUST(setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle));
  return NULL;
}

static verdict load(void) {
  TRY(put(client, there, sizeof there));
  return put(server, back, sizeof back);
}

static verdict check_pair(void) {
  TRY(expect(server, there, sizeof there));
  TRY(expect(client, back, sizeof back));
  int on = 0, idle = 0;
  socklen_t length = sizeof on;
  MUST(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, &length));
  MUST(getsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &length));
  CHECK(on && idle == 77, "socket options: nodelay %d, keepidle %d", on, idle);
  struct sockaddr_storage address;
  length = sizeof address;
  MUST(getsockname(listener, (struct sockaddr *)&address, &length));
  int late = socket(address.ss_family, SOCK_STREAM, 0);
  MUST(connect(late, (struct sockaddr *)&address, length));
  int accepted = accept(listener, NULL, NULL);
  MUST(accepted);
  close(late);
  close(accepted);
  return load();
}

static verdict tcp4_setup(void) {
  TRY(open_pair(AF_INET));
  return load();
}
static verdict tcp4_check(void) { return check_pair(); }

static verdict tcp6_setup(void) {
  TRY(open_pair(AF_INET6));
  return load();
}
static verdict tcp6_check(void) { return check_pair(); }

static verdict half_setup(void) {
  TRY(open_pair(AF_INET));
  MUST(shutdown(client, SHUT_WR));
  return NULL;
}

static verdict half_check(void) {
  char byte;
  CHECK(readable(server, 5000) && read(server, &byte, 1) == 0, "the server does not see the end");
  TRY(put(server, back, sizeof back));
  return expect(client, back, sizeof back);
}

static verdict backlog_setup(void) {
  TRY(open_pair(AF_INET));
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  MUST(getsockname(listener, (struct sockaddr *)&address, &length));
  int late = socket(AF_INET, SOCK_STREAM, 0);
  MUST(connect(late, (struct sockaddr *)&address, length));
  return NULL;
}

static verdict backlog_check(void) { return readable(listener, 0) ? NULL : bad("the waiting connection is gone"); }
