// pulse PORT: the proof service of drover's busybox image. Every tick (10 ms) each TCP client gets one line
//     <pid> <counter> <monotonic milliseconds>
// and the counter lives only in this process's memory: a client that sees it go on without a gap knows that the process was moved,
// not restarted. A line that a client sends comes back as `echo <line>`; `tick N` (1 to 1000) makes the tick N ms long. Without clients it sleeps for good (an idle container
// must cost nothing) and adds the ticks that it slept through when the next client comes. No threads, timers or files, so
// that it says nothing about a checkpoint but what every ordinary server would.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_clients = 64, line_bytes = 128 };

static int tick_ms = 10;

struct client {
  char line[line_bytes];
  size_t length;
};

static struct pollfd polled[1 + max_clients];
static struct client clients[1 + max_clients];
static int count = 1;
static unsigned long long counter;

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int try_listen(int family, int port) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1, off = 0;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
  struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
  socklen_t length = family == AF_INET6 ? sizeof v6 : sizeof v4;
  if (fd < 0) return -1;
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 || bind(fd, address, length) < 0 || listen(fd, max_clients) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

/** Both families by one socket; IPv4 alone where the kernel has no IPv6. */
static int listen_on(int port) {
  int fd = try_listen(AF_INET6, port);
  if (fd < 0) fd = try_listen(AF_INET, port);
  if (fd < 0) {
    perror("pulse: listen");
    exit(1);
  }
  return fd;
}

static void drop(int index) {
  close(polled[index].fd);
  count--;
  polled[index] = polled[count];
  clients[index] = clients[count];
}

/** Sends a whole short line; a client that can't take it is too slow to prove anything and is dropped. */
static int send_line(int index, const char *line, size_t length) {
  if (send(polled[index].fd, line, length, MSG_NOSIGNAL) == (ssize_t)length) return 1;
  drop(index);
  return 0;
}

static void accept_clients(void) {
  for (;;) {
    int fd = accept4(polled[0].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (count == 1 + max_clients) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    polled[count] = (struct pollfd){.fd = fd, .events = POLLIN};
    clients[count].length = 0;
    count++;
  }
}

/** Echoes each complete line of input; returns 0 when the client is gone. */
static int answer(int index) {
  struct client *client = &clients[index];
  ssize_t got = recv(polled[index].fd, client->line + client->length, line_bytes - client->length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
  if (got <= 0) {
    drop(index);
    return 0;
  }
  client->length += (size_t)got;
  for (;;) {
    char *end = memchr(client->line, '\n', client->length);
    if (!end && client->length < line_bytes) return 1;
    size_t used = end ? (size_t)(end - client->line) : client->length;
    int asked = 0;
    if (end) *end = '\0';
    if (end && sscanf(client->line, "tick %d", &asked) == 1 && asked >= 1 && asked <= 1000) {
      tick_ms = asked;
      client->length -= used + 1;
      memmove(client->line, end + 1, client->length);
      continue;
    }
    char reply[line_bytes + 8];
    size_t length = (size_t)snprintf(reply, sizeof reply, "echo %.*s\n", (int)used, client->line);
    size_t consumed = end ? used + 1 : used;
    memmove(client->line, client->line + consumed, client->length - consumed);
    client->length -= consumed;
    if (!send_line(index, reply, length)) return 0;
  }
}

static void tick(long long now) {
  char line[96];
  counter++;
  int length = snprintf(line, sizeof line, "%d %llu %lld\n", (int)getpid(), counter, now);
  for (int index = count - 1; index > 0; index--) send_line(index, line, (size_t)length);
}

int main(int argc, char **argv) {
  int port = argc > 1 ? atoi(argv[1]) : 7000;
  if (port <= 0 || port > 65535) {
    fprintf(stderr, "pulse: port %s is not 1..65535\n", argv[1]);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  polled[0] = (struct pollfd){.fd = listen_on(port), .events = POLLIN};
  long long next = now_ms() + tick_ms;
  for (;;) {
    long long wait = next - now_ms();
    int idle = count == 1;
    if (poll(polled, (nfds_t)count, idle ? -1 : wait > 0 ? (int)wait : 0) < 0 && errno != EINTR) {
      perror("pulse: poll");
      return 1;
    }
    long long now = now_ms();
    if (idle && now > next) {
      counter += (unsigned long long)((now - next) / tick_ms);
      next = now;
    }
    for (int index = count - 1; index > 0; index--) {
      if (polled[index].revents) answer(index);
    }
    if (polled[0].revents) accept_clients();
    if (now >= next) {
      tick(now);
      // After a pause (a freeze) it goes on at its pace rather than catching up: one line per tick, no burst.
      next = next + tick_ms > now ? next + tick_ms : now + tick_ms;
    }
  }
}
