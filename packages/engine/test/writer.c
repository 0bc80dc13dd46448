// A process that writes its memory all the time and knows what must be in it: each page holds a generation, and a table elsewhere in its
// memory says which. It maps and unmaps, moves and forks, too. At SIGUSR1 it compares all and writes `good PAGES` or `bad PAGE` to
// /tmp/verdict, with the pid of the process that compared.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { pages = 12288, page_words = 4096 / 8 };

static uint64_t *memory;
static uint32_t generation[pages];
static volatile sig_atomic_t asked;

static void ask(int number) {
  (void)number;
  asked = 1;
}

static uint64_t word(int page, int at) { return ((uint64_t)page << 40) ^ ((uint64_t)generation[page] << 16) ^ (uint64_t)at; }

static void fill(int page) {
  generation[page]++;
  for (int at = 0; at < page_words; at++) memory[(size_t)page * page_words + (size_t)at] = word(page, at);
}

static void judge(void) {
  int bad = -1;
  for (int page = 0; page < pages && bad < 0; page++)
    for (int at = 0; at < page_words; at++)
      if (memory[(size_t)page * page_words + (size_t)at] != word(page, at)) bad = page;
  FILE *out = fopen("/tmp/verdict.new", "w");
  if (bad < 0) fprintf(out, "good %d\n", pages);
  else fprintf(out, "bad %d\n", bad);
  fclose(out);
  rename("/tmp/verdict.new", "/tmp/verdict");
}

int main(void) {
  signal(SIGUSR1, ask);
  signal(SIGCHLD, SIG_IGN);
  memory = mmap(NULL, (size_t)pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (int page = 0; page < pages; page++) fill(page);
  FILE *out = fopen("/tmp/writer.pid", "w");
  fprintf(out, "%d\n", (int)getpid());
  fclose(out);
  unsigned seed = 1;
  for (unsigned long step = 0;; step++) {
    for (int i = 0; i < 8; i++) fill(rand_r(&seed) % pages);
    if (step % 64 == 0) {
      // A stretch goes away and comes back, and all of it moves to another address and back.
      int first = rand_r(&seed) % (pages - 32);
      madvise(memory + (size_t)first * page_words, 32 * 4096, MADV_DONTNEED);
      for (int page = first; page < first + 32; page++) fill(page);
    }
    if (step % 4096 == 1024) {
      uint64_t *moved = mremap(memory, (size_t)pages * 4096, (size_t)pages * 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
      if (moved != MAP_FAILED) {
        munmap(memory, (size_t)pages * 4096);
        memory = moved;
      }
    }
    if (step % 1024 == 7 && fork() == 0) {
      fill(3);
      _exit(0);
    }
    if (asked) {
      asked = 0;
      judge();
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}
