// The probe's side: becomes a daemon, sets itself up, then answers one line with one line for ever.

#include "serve.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

extern const struct probe *const __start_probes[], *const __stop_probes[];

enum { most_clients = 8 };

static unsigned long good;

int probe_count(void) { return (int)(__stop_probes - __start_probes); }
const struct probe *probe_at(int index) { return __start_probes[index]; }

int probe_index(const char *name) {
  for (int index = 0; index < probe_count(); index++)
    if (!strcmp(probe_at(index)->name, name)) return index;
  fprintf(stderr, "probe: there is no probe %s\n", name);
  return -1;
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, most_clients) < 0) return -1;
  return fd;
}

static void answer(int fd, const struct probe *probe, verdict set_up) {
  char line[line_bytes];
  verdict reason = set_up ? set_up : probe->check();
  int absent = reason && !strncmp(reason, "absent ", 7);
  int length = reason ? snprintf(line, sizeof line, "%s%s\n", absent ? "" : "bad ", reason) : snprintf(line, sizeof line, "ok %lu\n", ++good);
  send(fd, line, (size_t)length, MSG_NOSIGNAL);
}

static void serve(int listener, const struct probe *probe, verdict set_up) {
  struct pollfd polled[1 + most_clients] = {{.fd = listener, .events = POLLIN}};
  int count = 1, on = 1;
  for (;;) {
    if (poll(polled, (nfds_t)count, -1) < 0) continue;
    for (int index = count - 1; index > 0; index--) {
      if (!polled[index].revents) continue;
      char line[line_bytes];
      if (recv(polled[index].fd, line, sizeof line, 0) > 0) {
        answer(polled[index].fd, probe, set_up);
        continue;
      }
      close(polled[index].fd);
      polled[index] = polled[--count];
    }
    if (polled[0].revents && count <= most_clients) {
      int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      if (fd < 0) continue;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      polled[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
  }
}

/** Comes back once the parent has ended: a probe that asks to be told of its parent's end means the next one. */
static void become_daemon(pid_t parent, int ready) {
  while (getppid() == parent) pause_ms(1);
  setsid();
  if (chdir("/") < 0) _exit(1);
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  for (int fd = 3; fd < 256; fd++)
    if (fd != ready) close(fd);
}

int start_probes(int count, char **names) {
  int failed = 0;
  for (int at = 0; at < count; at++) {
    int index = probe_index(names[at]), pipe_fds[2];
    if (index < 0 || pipe(pipe_fds) < 0) return 2;
    // A child of a child: it must not be a child of the one who execs.
    pid_t middle = fork();
    if (middle == 0) {
      pid_t parent = getpid();
      if (fork() != 0) _exit(0);
      become_daemon(parent, pipe_fds[1]);
      prctl(PR_SET_NAME, names[at]);
      char directory[200];
      snprintf(directory, sizeof directory, "/var/tmp/probe-%s", names[at]);
      mkdir(directory, 0755);
      setenv("PROBE_DIRECTORY", directory, 1);
      int listener = listen_on(first_port + index);
      verdict reason = listener < 0 ? bad("listen: %s", strerror(errno)) : probe_at(index)->setup();
      reason = reason ? strdup(reason) : NULL;
      dprintf(pipe_fds[1], "%s", reason ? reason : "ok 0");
      close(pipe_fds[1]);
      serve(listener, probe_at(index), reason);
    }
    close(pipe_fds[1]);
    waitpid(middle, NULL, 0);
    char line[line_bytes] = "";
    ssize_t length = readable(pipe_fds[0], answer_ms) ? read(pipe_fds[0], line, sizeof line - 1) : -1;
    const char *shown = length <= 0 ? "ended in its setup" : line;
    int good_start = !strncmp(shown, "ok", 2), missing = !strncmp(shown, "absent ", 7);
    printf("%s %s%s\n", names[at], good_start || missing ? "" : "bad ", shown);
    failed += !good_start && !missing;
    close(pipe_fds[0]);
  }
  return failed > 0;
}
