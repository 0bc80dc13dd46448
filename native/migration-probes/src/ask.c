// The asking side of the protocol: once from inside, or from outside over connections that are held.

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "serve.h"

static int connect_to(const char *address, int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct timeval patience = {.tv_sec = answer_ms / 1000};
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (inet_pton(AF_INET, address, &where.sin_addr) != 1 || connect(fd, (struct sockaddr *)&where, sizeof where) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

/** Prints `NAME answer`; false unless the answer is ok or absent. */
static int ask(const char *name, int fd) {
  char line[line_bytes];
  ssize_t length = -1;
  if (fd >= 0 && send(fd, "check\n", 6, MSG_NOSIGNAL) == 6) length = recv(fd, line, sizeof line - 1, 0);
  if (length <= 0) {
    printf("%s bad connection: %s\n", name, length == 0 ? "closed by the probe" : strerror(errno));
    return 0;
  }
  line[length] = 0;
  line[strcspn(line, "\n")] = 0;
  printf("%s %s\n", name, line);
  return !strncmp(line, "ok ", 3) || !strncmp(line, "absent ", 7);
}

int ask_probes(int count, char **arguments) {
  struct in_addr parsed;
  const char *address = "127.0.0.1";
  if (inet_pton(AF_INET, arguments[0], &parsed) == 1) {
    address = arguments[0];
    arguments++;
    count--;
  }
  int failed = 0;
  for (int at = 0; at < count; at++) {
    int index = probe_index(arguments[at]);
    if (index < 0) return 2;
    int fd = connect_to(address, first_port + index);
    failed += !ask(arguments[at], fd);
    if (fd >= 0) close(fd);
  }
  return failed > 0;
}

int watch_probes(const char *address, int count, char **names) {
  int *fds = calloc((size_t)count, sizeof *fds);
  char line[line_bytes];
  for (int at = 0; at < count; at++) {
    int index = probe_index(names[at]);
    if (index < 0) return 2;
    fds[at] = connect_to(address, first_port + index);
  }
  // A blank line ends each round of answers.
  while (fgets(line, sizeof line, stdin)) {
    for (int at = 0; at < count; at++) ask(names[at], fds[at]);
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
