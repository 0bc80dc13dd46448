// core-pace: how fast the processors are while something else is measured. Twenty times a second it times the same short loop by its own
// processor time, so that waiting for a processor doesn't count; what does is whatever slows down a processor that one has: its clock,
// and on a virtual machine others on the same core, which no counter of the machine tells. The loop keeps a core's arithmetic units busy and
// touches no memory. It ends with its stdin, and then says in one line of JSON what it saw:
// {"rounds":N,"mean_us":…,"least_us":…}.

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
  pause_ms = 50,
  /** About a quarter of a millisecond: half a percent of one processor. */
  turns = 300000,
};

static double processor_us(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)) err(EXIT_FAILURE, "clock_gettime");
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

/** Chains that don't wait for each other: what they take depends on how many instructions the core finishes at once. */
static double round_us(void) {
  const double before = processor_us();
  unsigned long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
  for (unsigned long turn = 0; turn < turns; turn++) {
    a += turn, b ^= turn, c += 3, d ^= 5, e += turn, f ^= 7, g += 9, h ^= turn;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
  }
  return processor_us() - before;
}

/** Whether the one who asked has gone, within the pause between two rounds. */
static int asked_to_end(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  const int ready = poll(&input, 1, pause_ms);
  if (ready < 0 && errno != EINTR) err(EXIT_FAILURE, "poll");
  if (ready <= 0) return 0;
  char ignored[64];
  return read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
}

int main(void) {
  unsigned long rounds = 0;
  double sum = 0, least = 0;
  do {
    const double took = round_us();
    sum += took;
    if (rounds++ == 0 || took < least) least = took;
  } while (!asked_to_end());
  printf("{\"rounds\":%lu,\"mean_us\":%.1f,\"least_us\":%.1f}\n", rounds, sum / rounds, least);
  return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
