#include "probe.h"

#include <stdarg.h>

static char reason[400];

verdict bad(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  return reason;
}

verdict absent(const char *format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return bad("absent %s", text);
}

const char *place(const char *file) {
  static char paths[4][256];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", getenv("PROBE_DIRECTORY"), file);
  return path;
}

pid_t spawn(void (*body)(void *), void *argument) {
  pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  body(argument);
  _exit(0);
}

int readable(int fd, int ms) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  return poll(&polled, 1, ms) == 1 && (polled.revents & POLLIN);
}

verdict put(int fd, const void *data, size_t length) {
  ssize_t written = write(fd, data, length);
  CHECK(written == (ssize_t)length, "write %zu bytes to fd %d: %s", length, fd, written < 0 ? strerror(errno) : "short");
  return NULL;
}

verdict expect(int fd, const void *data, size_t length) {
  char *got = calloc(1, length + 1);
  size_t have = 0;
  while (have < length && readable(fd, 5000)) {
    ssize_t n = read(fd, got + have, length - have);
    if (n <= 0) break;
    have += (size_t)n;
  }
  int same = have == length && !memcmp(got, data, length);
  free(got);
  CHECK(same, "fd %d held %zu bytes, not the %zu that were written", fd, have, length);
  return NULL;
}

long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(int ms) {
  struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
}
