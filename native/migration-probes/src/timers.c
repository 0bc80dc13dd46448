// Clocks and timers: interval timers, POSIX timers, and that the monotonic clock does not jump back.

#include <sys/time.h>

#include "probe.h"

PROBE(interval, "itimer", "interval timers of real and virtual time");
PROBE(posix, "timer-posix", "POSIX timers, armed and periodic");
PROBE(monotonic, "clock-monotonic", "the monotonic clock goes on from where it was");

static timer_t armed, ticking;
static volatile sig_atomic_t ticks;

static void tick(int number) {
  (void)number;
  ticks++;
}

static verdict interval_setup(void) {
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  MUST(sigaction(SIGALRM, &action, NULL));
  struct itimerval often = {{0, 20000}, {0, 20000}}, far = {{0, 0}, {5000, 0}};
  MUST(setitimer(ITIMER_REAL, &often, NULL));
  MUST(setitimer(ITIMER_VIRTUAL, &far, NULL));
  return NULL;
}

static verdict ticks_on(void) {
  sig_atomic_t before = ticks;
  for (long long until = now_ms() + 5000; now_ms() < until; pause_ms(5))
    if (ticks > before + 2) return NULL;
  return bad("no tick after %d", before);
}

static verdict interval_check(void) {
  struct itimerval left;
  MUST(getitimer(ITIMER_VIRTUAL, &left));
  CHECK(left.it_value.tv_sec > 1000, "the virtual one has %ld s left", (long)left.it_value.tv_sec);
  return ticks_on();
}

static verdict posix_setup(void) {
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  MUST(sigaction(SIGRTMIN + 1, &action, NULL));
  struct sigevent by_signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
  MUST(timer_create(CLOCK_MONOTONIC, &by_signal, &armed));
  MUST(timer_create(CLOCK_REALTIME, &by_signal, &ticking));
  struct itimerspec far = {.it_value = {.tv_sec = 5000}}, often = {.it_value = {.tv_nsec = 20000000}, .it_interval = {.tv_nsec = 20000000}};
  MUST(timer_settime(armed, 0, &far, NULL));
  MUST(timer_settime(ticking, 0, &often, NULL));
  return NULL;
}

static verdict posix_check(void) {
  struct itimerspec left;
  MUST(timer_gettime(armed, &left));
  CHECK(left.it_value.tv_sec > 1000 && left.it_value.tv_sec <= 5000, "%ld s are left", (long)left.it_value.tv_sec);
  return ticks_on();
}

static long long last;

static verdict monotonic_setup(void) {
  last = now_ms();
  return NULL;
}

static verdict monotonic_check(void) {
  long long now = now_ms();
  CHECK(now >= last, "it jumped back by %lld ms", last - now);
  CHECK(now - last < 3600000, "it jumped ahead by %lld ms", now - last);
  last = now;
  return NULL;
}
