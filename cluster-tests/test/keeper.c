// keeper MIB BUSY_MIB: holds MIB of memory and keeps writing to the first BUSY_MIB of it, as fast as it can or, with BUSY_MIB 0, not at all.
// Every 20 ms it looks at the clock. /tmp/keeper says, at once after SIGUSR1 and now and then: ticks, gaps of more than 300 ms between two ticks
// by the wall clock, the longest of them in ms, the wall clock in ms at the last tick before it and at the first after it, and whether
// all memory is as it was written. While the clock's thread wanted to run and others had the processors (the kernel's
// Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat: the second figure), it did not stand still: that is no part of a gap. It
// writes no file and no memory of the others', so that neither a slow disk nor a page that is copied holds it up.

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { page_words = 4096 / 8, tick_ms = 20, gap_ms = 300, tell_every = 10 };

static volatile sig_atomic_t asked;
static uint64_t *memory;
static uint32_t *generation;
static long pages, busy;

static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;
static struct {
  long ticks, gaps;
  long long longest, from, to;
} clock_said;

static void ask(int number) {
  (void)number;
  asked = 1;
}

static long long wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// On a processor and waiting for one, in ms, since it began; a restore begins anew.
static long long wanting_ms(void) {
  long long ran = 0, waited = 0;
  FILE *in = fopen("/proc/thread-self/schedstat", "r");
  if (in == NULL) return 0;
  if (fscanf(in, "%lld %lld", &ran, &waited) != 2) ran = waited = 0;
  fclose(in);
  return (ran + waited) / 1000000;
}

static void fill(long page) {
  generation[page]++;
  for (int at = 0; at < page_words; at += 64) memory[page * page_words + at] = ((uint64_t)page << 32) ^ generation[page] ^ (uint64_t)at;
}

static int whole(void) {
  for (long page = 0; page < pages; page++)
    for (int at = 0; at < page_words; at += 64)
      if (memory[page * page_words + at] != (((uint64_t)page << 32) ^ generation[page] ^ (uint64_t)at)) return 0;
  return 1;
}

static void *look_at_the_clock(void *nothing) {
  (void)nothing;
  for (long long last = wall_ms(), wanted = wanting_ms();;) {
    nanosleep(&(struct timespec){.tv_nsec = tick_ms * 1000000L}, NULL);
    const long long now = wall_ms(), wants = wanting_ms();
    const long long still = now - last - (wants > wanted ? wants - wanted : 0);
    pthread_mutex_lock(&looking);
    clock_said.ticks++;
    if (still > gap_ms) {
      clock_said.gaps++;
      if (now - last > clock_said.longest) clock_said.longest = now - last, clock_said.from = last, clock_said.to = now;
    }
    pthread_mutex_unlock(&looking);
    last = now, wanted = wants;
  }
  return NULL;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  pages = atol(words[1]) * 256;
  busy = atol(words[2]) * 256;
  signal(SIGUSR1, ask);
  memory = mmap(NULL, (size_t)pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  generation = calloc((size_t)pages, sizeof *generation);
  if (memory == MAP_FAILED || generation == NULL) return 1;
  for (long page = 0; page < pages; page++) fill(page);
  pthread_t clock_thread;
  if (pthread_create(&clock_thread, NULL, look_at_the_clock, NULL) != 0) return 1;
  for (long next = 0, told = -tell_every;;) {
    pthread_mutex_lock(&looking);
    const __typeof__(clock_said) said = clock_said;
    pthread_mutex_unlock(&looking);
    // It may be asked at any moment: what comes from here on is for the next time.
    const int answering = asked;
    asked = 0;
    if (answering || said.ticks - told >= tell_every) {
      told = said.ticks;
      FILE *out = fopen("/tmp/keeper.new", "w");
      fprintf(out, "%ld %ld %lld %lld %lld %s\n", said.ticks, said.gaps, said.longest, said.from, said.to, !answering ? "-" : whole() ? "whole" : "broken");
      fclose(out);
      rename("/tmp/keeper.new", "/tmp/keeper");
      if (answering) rename("/tmp/keeper", "/tmp/verdict");
    }
    if (busy == 0) nanosleep(&(struct timespec){.tv_nsec = tick_ms * 1000000L / 2}, NULL);
    else for (int i = 0; i < 256; i++, next = (next + 1) % busy) fill(next);
  }
}
