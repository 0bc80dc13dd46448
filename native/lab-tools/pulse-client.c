// pulse-client: the laboratory's client outside. It holds TCP connections to containers' `pulse` services (native/image-tools) and
// watches their ticks, lines `pid counter monotonic_ms`; in C, so that watching hundreds of them takes next to nothing from what is
// measured. Commands come on stdin, a line each: `open ID ADDRESS PORT [TICK_MS]`, `mark ID` (starts a new stretch), `report ID`,
// `close ID`. Answers are JSON lines, `PulseMessage` of packages/testkit/src/lab/pulse.ts. It ends with its stdin. What is asked of
// an ID (a number) that isn't open has no answer: the stream may just have been closed. Without timers: its user knows what silence is too long.

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  max_streams = 4096,
  /** Gaps kept for the usual time between ticks; the longest one is kept apart. */
  kept_gaps = 20000,
  /** A container with more of them was not moved but started again and again. */
  kept_pids = 64,
  /** A tick is at most three numbers of 20 digits. */
  line_bytes = 128,
  reason_bytes = line_bytes + 64,
  id_bytes = 21,
  command_bytes = 4096,
  /** What pulse itself takes. */
  longest_tick_ms = 1000,
};

struct stretch {
  unsigned long long lines, skipped, pids[kept_pids];
  size_t pid_count, gap_count;
  /** Longest time without a line, and when it ended (wall clock). */
  double longest_gap_ms, gap_ended_at_ms;
  char first[line_bytes], last[line_bytes];
};

struct stream {
  /** The reason is quoted, each byte up to \u and four digits; empty while it isn't lost. */
  char id[id_bytes], endpoint[64], lost_reason[6 * reason_bytes], rest[line_bytes];
  size_t rest_length;
  /** fd: -1 when there is no connection any more; tick_ms: 0 for the service's own. */
  int fd, tick_ms;
  bool ticked;
  unsigned long long last_counter;
  double last_arrival_ms;
  struct stretch stretch;
  double gaps[kept_gaps];
};

static struct stream *streams[max_streams];
static int stream_count, events_fd;

static double clock_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/** A message is one write. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (vprintf(format, arguments) < 0 || putchar('\n') == EOF || fflush(stdout) != 0) err(1, "write an answer");
  va_end(arguments);
}

/** The first reason stands. Each of its bytes is a character. */
__attribute__((format(printf, 2, 3))) static void lose(struct stream *stream, const char *format, ...) {
  if (stream->lost_reason[0]) return;
  char reason[reason_bytes], *to = stream->lost_reason;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  *to++ = '"';
  for (const unsigned char *at = (unsigned char *)reason; *at; at++) {
    bool plain = *at >= ' ' && *at <= '~' && *at != '"' && *at != '\\';
    to += sprintf(to, plain ? "%c" : "\\u%04x", *at);
  }
  strcpy(to, "\"");
  say("{\"id\":\"%s\",\"event\":\"lost\",\"reason\":%s}", stream->id, stream->lost_reason);
}

static void disconnect(struct stream *stream) {
  if (stream->fd >= 0) close(stream->fd), stream->fd = -1;
}

static void lose_by_error(struct stream *stream, const char *doing, int error, const char *to) {
  lose(stream, "%s %s%s", doing, strerrorname_np(error), to);
  disconnect(stream);
}

/** A decimal number without sign, and the space that may follow it. */
static bool take_number(const char **at, unsigned long long *value) {
  char *end;
  errno = 0;
  if (**at < '0' || **at > '9') return false;
  *value = strtoull(*at, &end, 10);
  if (errno != 0 || (*end != '\0' && *end != ' ')) return false;
  *at = *end == ' ' ? end + 1 : end;
  return true;
}

static void keep_pid(struct stretch *stretch, unsigned long long pid) {
  size_t index = 0;
  while (index < stretch->pid_count && stretch->pids[index] != pid) index++;
  if (index == stretch->pid_count && index < kept_pids) stretch->pids[stretch->pid_count++] = pid;
}

static void keep_gap(struct stream *stream, double gap_ms) {
  struct stretch *stretch = &stream->stretch;
  if (gap_ms > stretch->longest_gap_ms) {
    stretch->longest_gap_ms = gap_ms;
    stretch->gap_ended_at_ms = clock_ms(CLOCK_REALTIME);
  }
  if (stretch->gap_count < kept_gaps) stream->gaps[stretch->gap_count++] = gap_ms;
}

static void take_line(struct stream *stream, const char *line, double now_ms) {
  struct stretch *stretch = &stream->stretch;
  const char *at = line;
  unsigned long long pid, counter, moment_ms;
  if (!take_number(&at, &pid) || !take_number(&at, &counter) || !take_number(&at, &moment_ms) || *at) {
    lose(stream, "odd line: %s", line);
    return;
  }
  // Each tick must follow the one before: a restart would begin anew, a lost copy would leave a hole.
  if (stream->ticked && counter != stream->last_counter + 1) stretch->skipped++;
  if (stream->ticked) keep_gap(stream, now_ms - stream->last_arrival_ms);
  if (!stream->ticked) say("{\"id\":\"%s\",\"event\":\"ticking\"}", stream->id);
  stream->ticked = true;
  stream->last_counter = counter;
  stream->last_arrival_ms = now_ms;
  keep_pid(stretch, pid);
  if (stretch->lines++ == 0) strcpy(stretch->first, line);
  strcpy(stretch->last, line);
}

/** A line may come in pieces; what is too long for one is cut, and odd. */
static void take_bytes(struct stream *stream, const char *bytes, size_t length, double now_ms) {
  for (size_t index = 0; index < length; index++) {
    bool ends = bytes[index] == '\n';
    if (!ends) stream->rest[stream->rest_length++] = bytes[index];
    if (!ends && stream->rest_length < line_bytes - 1) continue;
    stream->rest[stream->rest_length] = '\0';
    stream->rest_length = 0;
    if (!ends) lose(stream, "odd line: %s", stream->rest);
    if (ends) take_line(stream, stream->rest, now_ms);
  }
}

static void become_connected(struct stream *stream) {
  int error = 0;
  if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}) < 0) error = errno;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
  if (error == 0 && epoll_ctl(events_fd, EPOLL_CTL_MOD, stream->fd, &event) < 0) error = errno;
  if (error != 0) {
    lose_by_error(stream, "connect", error, stream->endpoint);
  } else if (stream->tick_ms > 0 && dprintf(stream->fd, "tick %d\n", stream->tick_ms) < 0) {
    lose_by_error(stream, "write", errno, "");
  }
}

static void hear(struct stream *stream) {
  char bytes[16 << 10];
  ssize_t got = recv(stream->fd, bytes, sizeof bytes, 0);
  if (got > 0) {
    take_bytes(stream, bytes, (size_t)got, clock_ms(CLOCK_MONOTONIC));
  } else if (got == 0) {
    lose(stream, "the connection was closed");
    disconnect(stream);
  } else if (errno != EAGAIN && errno != EINTR) {
    lose_by_error(stream, "read", errno, "");
  }
}

static int compare_numbers(const void *left, const void *right) {
  const double *one = left, *other = right;
  return (*one > *other) - (*one < *other);
}

static void report(struct stream *stream) {
  const struct stretch *stretch = &stream->stretch;
  double silence_ms = stream->ticked ? clock_ms(CLOCK_MONOTONIC) - stream->last_arrival_ms : 0;
  double longest_ms = silence_ms > stretch->longest_gap_ms ? silence_ms : stretch->longest_gap_ms;
  // In place: nobody asks in which order they were.
  qsort(stream->gaps, stretch->gap_count, sizeof(double), compare_numbers);
  double tick_ms = stretch->gap_count > 0 ? stream->gaps[stretch->gap_count / 2] : 0;
  char pids[kept_pids * 21 + 1] = "", *to = pids;
  for (size_t index = 0; index < stretch->pid_count; index++) to += sprintf(to, index > 0 ? ",%llu" : "%llu", stretch->pids[index]);
  const char *lost = stream->lost_reason[0] ? stream->lost_reason : "null", *quote = stretch->lines > 0 ? "\"" : "";
  say("{\"id\":\"%s\",\"event\":\"report\",\"report\":{\"lines\":%llu,\"first\":%s%s%s,\"last\":%s%s%s,\"pids\":[%s],\"longestGapMs\":%.6f,"
      "\"gapEndedAtMs\":%.0f,\"silenceMs\":%.6f,\"tickMs\":%.6f,\"blackoutMs\":%.6f,\"unbroken\":%s,\"skipped\":%llu,\"lost\":%s}}",
      stream->id, stretch->lines, quote, quote[0] ? stretch->first : "null", quote, quote, quote[0] ? stretch->last : "null", quote,
      pids, longest_ms, stretch->gap_ended_at_ms, silence_ms, tick_ms, longest_ms > tick_ms ? longest_ms - tick_ms : 0,
      stretch->skipped == 0 && !stream->lost_reason[0] ? "true" : "false", stretch->skipped, lost);
}

static void open_stream(const char *id, const char *host, const char *port, const char *tick) {
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) err(1, "add a stream");
  streams[stream_count++] = stream;
  stream->fd = -1;
  strcpy(stream->id, id);
  snprintf(stream->endpoint, sizeof stream->endpoint, " %s:%s", host, port);
  const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *address;
  const char *port_at = port, *tick_at = tick;
  unsigned long long port_number, tick_ms = 0;
  if (!take_number(&port_at, &port_number) || port_number < 1 || port_number > 65535 ||
      (tick && (!take_number(&tick_at, &tick_ms) || tick_ms < 1 || tick_ms > longest_tick_ms)) ||
      getaddrinfo(host, port, &numeric, &address) != 0) {
    lose(stream, "odd address, port or tick");
    return;
  }
  stream->tick_ms = (int)tick_ms;
  stream->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = stream};
  if (stream->fd < 0 || setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
      (connect(stream->fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) ||
      epoll_ctl(events_fd, EPOLL_CTL_ADD, stream->fd, &event) < 0) {
    lose_by_error(stream, "connect", errno, stream->endpoint);
  }
  freeaddrinfo(address);
}

/** `line` is taken apart. */
static void obey(char *line) {
  char *words[6] = {0};
  int count = 0, index = 0;
  while (count < 6 && (words[count] = strsep(&line, " "))) count++;
  const char *command = words[0], *id = count > 1 ? words[1] : "";
  while (index < stream_count && strcmp(streams[index]->id, id) != 0) index++;
  bool is_open = index < stream_count, opens = strcmp(command, "open") == 0;
  bool odd_id = !*id || strlen(id) >= id_bytes || strspn(id, "0123456789") != strlen(id);
  if (odd_id || (opens ? count < 4 || count > 5 || is_open || stream_count == max_streams : count != 2)) {
    warnx("refused, with %d streams: %s %s (%d words)", stream_count, command, id, count);
  } else if (opens) {
    open_stream(id, words[2], words[3], words[4]);
  } else if (is_open && strcmp(command, "mark") == 0) {
    streams[index]->stretch = (struct stretch){0};
  } else if (is_open && strcmp(command, "report") == 0) {
    report(streams[index]);
  } else if (is_open && strcmp(command, "close") == 0) {
    disconnect(streams[index]);
    free(streams[index]);
    streams[index] = streams[--stream_count];
  }
}

/** Returns whether there may be more. */
static bool hear_commands(void) {
  static char bytes[command_bytes];
  static size_t length;
  ssize_t got = read(STDIN_FILENO, bytes + length, sizeof bytes - length);
  if (got <= 0) return got < 0 && (errno == EINTR || errno == EAGAIN);
  length += (size_t)got;
  char *line = bytes, *end;
  for (; (end = memchr(line, '\n', length)); line = end + 1) {
    length -= (size_t)(end + 1 - line);
    *end = '\0';
    obey(line);
  }
  if (length == sizeof bytes) errx(1, "a command of more than %d bytes", command_bytes);
  memmove(bytes, line, length);
  return true;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
  struct epoll_event events[64] = {{.events = EPOLLIN}};
  events_fd = epoll_create1(EPOLL_CLOEXEC);
  if (events_fd < 0 || epoll_ctl(events_fd, EPOLL_CTL_ADD, STDIN_FILENO, events) < 0) err(1, "watch stdin, a pipe");
  for (bool commanded = false; !commanded || hear_commands();) {
    int count = epoll_wait(events_fd, events, sizeof events / sizeof *events, -1);
    if (count < 0 && errno != EINTR) err(1, "wait");
    commanded = false;
    // Commands come last: one may remove a stream that another of these events is about.
    for (int index = 0; index < count; index++) {
      struct stream *stream = events[index].data.ptr;
      commanded = commanded || !stream;
      if (stream) (events[index].events & EPOLLOUT ? become_connected : hear)(stream);
    }
  }
  return 0;
}
