// eventfd, signalfd, timerfd, epoll and pidfd: descriptors whose whole content is in the kernel.

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "probe.h"

PROBE(counter, "eventfd", "eventfd with a count, non-blocking");
PROBE(semaphore, "eventfd-semaphore", "eventfd as a semaphore (EFD_SEMAPHORE)");
PROBE(signals, "signalfd", "signalfd with a pending signal");
PROBE(once, "timerfd", "timerfd, one shot, far away");
PROBE(periodic, "timerfd-periodic", "timerfd, periodic, with an unread expiry, goes on ticking");
PROBE(boot, "timerfd-boottime", "timerfd by the clock that counts suspended time");
PROBE(events, "epoll", "epoll with level and edge triggered members");
PROBE(process, "pidfd", "pidfd of a child");

static int fd, watched[2];

static verdict counter_setup(void) {
  MUST(fd = eventfd(5, EFD_NONBLOCK));
  return NULL;
}

static verdict counter_check(void) {
  uint64_t value;
  CHECK(read(fd, &value, sizeof value) == sizeof value && value == 5, "the count is not 5");
  CHECK(read(fd, &value, sizeof value) < 0 && errno == EAGAIN, "once read it is not empty, or blocks");
  value = 5;
  return put(fd, &value, sizeof value);
}

static verdict semaphore_setup(void) {
  MUST(fd = eventfd(5, EFD_SEMAPHORE));
  return NULL;
}

static verdict semaphore_check(void) {
  uint64_t value;
  for (int at = 0; at < 5; at++) CHECK(readable(fd, 0) && read(fd, &value, sizeof value) == sizeof value && value == 1, "it counts no more by one (%d)", at);
  CHECK(!readable(fd, 0), "the count has grown");
  value = 5;
  return put(fd, &value, sizeof value);
}

static verdict signals_setup(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  MUST(sigprocmask(SIG_BLOCK, &set, NULL));
  MUST(fd = signalfd(-1, &set, 0));
  return kill(getpid(), SIGUSR1) < 0 ? bad("kill") : NULL;
}

static verdict signals_check(void) {
  struct signalfd_siginfo info;
  CHECK(readable(fd, 5000) && read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "the signal is gone");
  CHECK(!readable(fd, 0), "the signal came twice");
  return kill(getpid(), SIGUSR1) < 0 ? bad("kill") : NULL;
}

static verdict once_setup(void) {
  struct itimerspec far = {.it_value = {.tv_sec = 5000}};
  MUST(fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  return timerfd_settime(fd, 0, &far, NULL) < 0 ? bad("timerfd_settime") : NULL;
}

static verdict once_check(void) {
  static long last = 5000;
  struct itimerspec left;
  MUST(timerfd_gettime(fd, &left));
  CHECK(left.it_value.tv_sec > 1000 && left.it_value.tv_sec <= last, "%ld s are left after %ld", (long)left.it_value.tv_sec, last);
  last = left.it_value.tv_sec;
  return NULL;
}

static verdict periodic_setup(void) {
  struct itimerspec often = {.it_value = {.tv_nsec = 20000000}, .it_interval = {.tv_nsec = 20000000}};
  MUST(fd = timerfd_create(CLOCK_MONOTONIC, 0));
  MUST(timerfd_settime(fd, 0, &often, NULL));
  pause_ms(50);
  return NULL;
}

static verdict periodic_check(void) {
  uint64_t ticks;
  for (int at = 0; at < 3; at++) CHECK(readable(fd, 5000) && read(fd, &ticks, sizeof ticks) == sizeof ticks && ticks > 0, "it ticks no more (%d)", at);
  pause_ms(50);
  return NULL;
}

static verdict boot_setup(void) {
  struct itimerspec far = {.it_value = {.tv_sec = 5000}};
  MUST(fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK));
  return timerfd_settime(fd, 0, &far, NULL) < 0 ? bad("timerfd_settime") : NULL;
}

static verdict boot_check(void) {
  struct itimerspec left;
  MUST(timerfd_gettime(fd, &left));
  CHECK(left.it_value.tv_sec > 1000, "%ld s are left", (long)left.it_value.tv_sec);
  return NULL;
}

static verdict events_setup(void) {
  MUST(fd = epoll_create1(0));
  MUST(watched[0] = eventfd(1, 0));
  MUST(watched[1] = eventfd(0, 0));
  struct epoll_event level = {.events = EPOLLIN, .data.u64 = 11}, edge = {.events = EPOLLIN | EPOLLET, .data.u64 = 22};
  MUST(epoll_ctl(fd, EPOLL_CTL_ADD, watched[0], &level));
  MUST(epoll_ctl(fd, EPOLL_CTL_ADD, watched[1], &edge));
  return NULL;
}

static verdict events_check(void) {
  struct epoll_event got[4];
  int count = epoll_wait(fd, got, 4, 5000);
  CHECK(count == 1 && got[0].data.u64 == 11, "%d events, the first %llu", count, (unsigned long long)got[0].data.u64);
  uint64_t value = 1;
  TRY(put(watched[1], &value, sizeof value));
  count = epoll_wait(fd, got, 4, 5000);
  CHECK(count == 2, "%d events, not 2", count);
  return read(watched[1], &value, sizeof value) == sizeof value ? NULL : bad("read");
}

static void hold(void *unused) {
  (void)unused;
  for (;;) pause();
}

static verdict process_setup(void) {
  pid_t child = spawn(hold, NULL);
  MUST(fd = (int)syscall(SYS_pidfd_open, child, 0));
  return NULL;
}

static verdict process_check(void) {
  CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0, "the child can't be signalled: %s", strerror(errno));
  return readable(fd, 0) ? bad("the child is said to have ended") : NULL;
}
