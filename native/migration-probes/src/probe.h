// What a probe is: a small program that sets up one kernel object, loads it with state that only the object itself holds, and
// checks on request that all is still there; then it loads it anew. Each source file beside this one has the probes of one facility.
// One static program holds them all (see main.c), so that it runs in any image and costs one copy.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// NULL: all is well; else the reason. A setup that answers absent(…) says that the object can't be had here.
typedef const char *verdict;

struct probe {
  const char *name;
  const char *what;
  verdict (*setup)(void);
  verdict (*check)(void);
};

#define PROBE(id, name, what) \
  static verdict id##_setup(void); \
  static verdict id##_check(void); \
  static const struct probe id = {name, what, id##_setup, id##_check}; \
  static const struct probe *const id##_entry __attribute__((section("probes"), used)) = &id

verdict bad(const char *format, ...) __attribute__((format(printf, 1, 2)));
verdict absent(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition, ...) \
  do { \
    if (!(condition)) return bad(__VA_ARGS__); \
  } while (0)
// A call that must not fail; says which one and why.
#define MUST(call) CHECK((call) >= 0, "%s: %s", #call, strerror(errno))
#define TRY(call) \
  do { \
    verdict tried = (call); \
    if (tried) return tried; \
  } while (0)

// A directory of its own for each probe, /var/tmp/probe-NAME; file names in it.
const char *place(const char *file);
// Runs `body` in a child process for good; the child is killed with the probe.
pid_t spawn(void (*body)(void *), void *argument);
// Polls `fd` for input, at most `ms`; true when there is some.
int readable(int fd, int ms);
// Whole messages of this length or a reason.
verdict put(int fd, const void *data, size_t length);
verdict expect(int fd, const void *data, size_t length);
long long now_ms(void);
void pause_ms(int ms);
