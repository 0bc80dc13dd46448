// Unix sockets of each kind, by path and abstract, with unread messages, and descriptors in flight.

#include <sys/un.h>

#include "probe.h"

PROBE(stream, "unix-stream", "unix stream by path: listener, connection, unread data");
PROBE(dgram, "unix-dgram", "unix datagram by path with unread messages, borders kept");
PROBE(seqpacket, "unix-seqpacket", "unix seqpacket by path with unread messages, borders kept");
PROBE(abstract, "unix-abstract", "unix stream with an abstract name");
PROBE(pair, "unix-pair", "socketpair shared by two processes");
PROBE(flight, "scm-rights", "a file descriptor in flight (SCM_RIGHTS)");

static int listener, client, server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t length;

static void name_by_path(void) {
  snprintf(address.sun_path, sizeof address.sun_path, "%s", place("socket"));
  unlink(address.sun_path);
  length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path) + 1);
}

static verdict open_connection(int type) {
  MUST(listener = socket(AF_UNIX, type, 0));
  MUST(bind(listener, (struct sockaddr *)&address, length));
  MUST(listen(listener, 5));
  MUST(client = socket(AF_UNIX, type, 0));
  MUST(connect(client, (struct sockaddr *)&address, length));
  MUST(server = accept(listener, NULL, NULL));
  return NULL;
}

static verdict load(void) {
  TRY(put(client, "first", 5));
  TRY(put(client, "and second", 10));
  return put(server, "back", 4);
}

static verdict check_connection(int borders) {
  char buffer[64];
  if (borders) {
    CHECK(readable(server, 5000) && read(server, buffer, sizeof buffer) == 5 && !memcmp(buffer, "first", 5), "the first message changed");
    CHECK(readable(server, 5000) && read(server, buffer, sizeof buffer) == 10 && !memcmp(buffer, "and second", 10), "the second message changed");
  } else {
    TRY(expect(server, "firstand second", 15));
  }
  TRY(expect(client, "back", 4));
  int type, late;
  socklen_t size = sizeof type;
  MUST(getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &size));
  MUST(late = socket(AF_UNIX, type, 0));
  MUST(connect(late, (struct sockaddr *)&address, length));
  close(late);
  MUST(late = accept(listener, NULL, NULL));
  close(late);
  return load();
}

static verdict stream_setup(void) {
  name_by_path();
  TRY(open_connection(SOCK_STREAM));
  return load();
}
static verdict stream_check(void) { return check_connection(0); }

static verdict seqpacket_setup(void) {
  name_by_path();
  TRY(open_connection(SOCK_SEQPACKET));
  return load();
}
static verdict seqpacket_check(void) { return check_connection(1); }

static verdict abstract_setup(void) {
  memcpy(address.sun_path, "\0probe-abstract", 15);
  length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 15);
  TRY(open_connection(SOCK_STREAM));
  return load();
}
static verdict abstract_check(void) { return check_connection(0); }

static verdict dgram_setup(void) {
  name_by_path();
  MUST(server = socket(AF_UNIX, SOCK_DGRAM, 0));
  MUST(bind(server, (struct sockaddr *)&address, length));
  MUST(client = socket(AF_UNIX, SOCK_DGRAM, 0));
  MUST(connect(client, (struct sockaddr *)&address, length));
  TRY(put(client, "one", 3));
  return put(client, "three", 5);
}

static verdict dgram_check(void) {
  char buffer[64];
  CHECK(readable(server, 5000) && read(server, buffer, sizeof buffer) == 3 && !memcmp(buffer, "one", 3), "the first datagram changed");
  CHECK(readable(server, 5000) && read(server, buffer, sizeof buffer) == 5 && !memcmp(buffer, "three", 5), "the second datagram changed");
  int late = socket(AF_UNIX, SOCK_DGRAM, 0);
  MUST(sendto(late, "x", 1, 0, (struct sockaddr *)&address, length));
  close(late);
  TRY(expect(server, "x", 1));
  TRY(put(client, "one", 3));
  return put(client, "three", 5);
}

static void echo(void *fds) {
  char buffer[64];
  close(((int *)fds)[0]);
  for (ssize_t n; (n = read(((int *)fds)[1], buffer, sizeof buffer)) > 0;)
    if (write(((int *)fds)[1], buffer, (size_t)n) != n) return;
}

static verdict pair_setup(void) {
  int fds[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  MUST(spawn(echo, fds));
  close(fds[1]);
  client = fds[0];
  return NULL;
}

static verdict pair_check(void) {
  TRY(put(client, "ping", 4));
  return expect(client, "ping", 4);
}

static verdict send_descriptor(void) {
  int fds[2];
  MUST(pipe(fds));
  TRY(put(fds[1], "in the pipe in flight", 21));
  close(fds[1]);
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec data = {"f", 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &fds[0], sizeof(int));
  MUST(sendmsg(client, &message, 0));
  close(fds[0]);
  return NULL;
}

static verdict flight_setup(void) {
  int fds[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  client = fds[0];
  server = fds[1];
  return send_descriptor();
}

static verdict flight_check(void) {
  char byte, control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK(readable(server, 5000) && recvmsg(server, &message, 0) == 1, "the message is gone");
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  CHECK(header && header->cmsg_type == SCM_RIGHTS, "the message lost its descriptor");
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  verdict same = expect(fd, "in the pipe in flight", 21);
  close(fd);
  return same ? same : send_descriptor();
}
