// When does a TCP service answer? New connections until one brings a byte: a SYN that comes too early would be sent again only
// after a second. Of a runtime that makes no network it is asked on the loopback of the pid in its pid file.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench-tool.h"

static const struct timespec betweenTries = {0, 500000};
/** A connection that hangs (its SYN was lost) is given up for a new one. */
static const int connectMs = 5, answerMs = 1000;

static void expect(long long end, const char* what) {
  if (nowNs() > end) errno = ETIMEDOUT, fail(what);
}

static void enterNetworkOf(const char* pidFile, long long end) {
  for (;; nanosleep(&betweenTries, NULL)) {
    expect(end, "wait for the pid file");
    char text[32] = {0}, path[64];
    int file = open(pidFile, O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0 || atoi(text) <= 0) continue;
    snprintf(path, sizeof path, "/proc/%d/ns/net", atoi(text));
    int network = open(path, O_RDONLY | O_CLOEXEC);
    if (network < 0 || setns(network, CLONE_NEWNET) != 0) fail("enter the network of the container");
    close(network);
    return;
  }
}

static int answers(const struct sockaddr_in* address) {
  char byte;
  int done = 0;
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection < 0) fail("make a socket");
  struct pollfd entry = {connection, POLLOUT, 0};
  if ((connect(connection, (const struct sockaddr*)address, sizeof *address) == 0 || errno == EINPROGRESS) && poll(&entry, 1, connectMs) == 1 &&
      !(entry.revents & (POLLERR | POLLHUP))) {
    entry.events = POLLIN;
    done = write(connection, "?\n", 2) == 2 && poll(&entry, 1, answerMs) == 1 && read(connection, &byte, 1) == 1;
  }
  close(connection);
  return done;
}

int answerCommand(int count, char** arguments) {
  if (count < 3) return 2;
  const long long end = nowNs() + atoll(arguments[2]) * 1000000;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  printf("ready\n");
  fflush(stdout);
  if (strchr(arguments[0], '/')) {
    enterNetworkOf(arguments[0], end);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else if (inet_pton(AF_INET, arguments[0], &address.sin_addr) != 1) {
    return 2;
  }
  for (; !answers(&address); nanosleep(&betweenTries, NULL)) expect(end, "wait for an answer");
  printf("%lld\n", nowNs());
  return 0;
}
