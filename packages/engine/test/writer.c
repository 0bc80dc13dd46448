// A process that writes its memory all the time and knows what must be in it: each page holds a generation, and a table elsewhere in its
// memory says which. It maps and unmaps, moves and forks, too. Memory that it shares is written by children as well, each of which lives for
// a moment: some of it has no name, the rest is a sealed memfd whose end is within a page. And it maps a file for itself, writes to some of those pages
// and gives some back, which makes them the file's again. At SIGUSR1 it compares all and writes
// `good PAGES SHARED FILED` or `bad PAGE` to /tmp/verdict; the shared pages count on from its own, and the file's from those.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { own_pages = 12288, nameless_pages = 6144, named_pages = 1024, shared_pages = nameless_pages + named_pages, page_words = 4096 / 8 };
/** Of a file; each fourth is never written. The first half may be read only, but while it is written. */
enum { filed_pages = 1024, all_pages = own_pages + shared_pages + filed_pages, first_filed = own_pages + shared_pages };
/** The memfd ends so many bytes into its last page. */
enum { last_bytes = 1000 };

/** Its own pages, and those that are shared. */
static uint64_t *memory, *nameless, *named, *filed;
/** Shared, too: a child writes there what it has written. */
static uint32_t *generation;
static volatile sig_atomic_t asked;

static void ask(int number) {
  (void)number;
  asked = 1;
}

static uint64_t word(int page, int at) { return ((uint64_t)page << 40) ^ ((uint64_t)generation[page] << 16) ^ (uint64_t)at; }

static uint64_t *place(int page) {
  if (page < own_pages) return memory + (size_t)page * page_words;
  page -= own_pages;
  if (page >= shared_pages) return filed + (size_t)(page - shared_pages) * page_words;
  return page < nameless_pages ? nameless + (size_t)page * page_words : named + (size_t)(page - nameless_pages) * page_words;
}

static int words_of(int page) { return page == own_pages + shared_pages - 1 ? last_bytes / 8 : page_words; }

static void fill(int page) {
  generation[page]++;
  for (int at = 0; at < words_of(page); at++) place(page)[at] = word(page, at);
}

static int is_right(int page) {
  // A page of the file is as one of that generation.
  int zero = generation[page] == 0 && page < first_filed;
  for (int at = 0; at < words_of(page); at++)
    if (place(page)[at] != (zero ? 0 : word(page, at))) return 0;
  return 1;
}

static void judge(void) {
  int bad = -1;
  for (int page = 0; page < all_pages && bad < 0; page++)
    if (!is_right(page)) bad = page;
  FILE *out = fopen("/tmp/verdict.new", "w");
  if (bad < 0) fprintf(out, "good %d %d %d\n", own_pages, shared_pages, filed_pages);
  else fprintf(out, "bad %d\n", bad);
  fclose(out);
  rename("/tmp/verdict.new", "/tmp/verdict");
}

static void *share(size_t bytes) { return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }

static void *share_named(void) {
  int file = memfd_create("named", MFD_ALLOW_SEALING);
  if (file < 0 || ftruncate(file, (off_t)(named_pages - 1) * 4096 + last_bytes) != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return MAP_FAILED;
  return mmap(NULL, (size_t)named_pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

static void *map_file(void) {
  static uint64_t content[page_words];
  int file = open("/tmp/writer.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (int page = first_filed; page < all_pages; page++) {
    for (int at = 0; at < page_words; at++) content[at] = word(page, at);
    if (write(file, content, sizeof content) != sizeof content) return MAP_FAILED;
  }
  char *at = mmap(NULL, (size_t)filed_pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  close(file);
  return at;
}

static int guard(int protection) { return mprotect(filed, (size_t)filed_pages / 2 * 4096, protection); }

static void fill_filed(int page) {
  if (page % 4 != 3) fill(first_filed + page);
}

/** The file's content comes back. */
static void give_back(int page) {
  if (madvise(filed + (size_t)page * page_words, 4096, MADV_DONTNEED) == 0) generation[first_filed + page] = 0;
}

/** What a child writes of the shared memory, and takes out of it. */
static void write_shared(unsigned seed) {
  for (int i = 0; i < 16; i++) fill(own_pages + rand_r(&seed) % shared_pages);
  int first = rand_r(&seed) % nameless_pages;
  if (madvise(nameless + (size_t)first * page_words, 4096, MADV_REMOVE) == 0) generation[own_pages + first] = 0;
}

int main(void) {
  signal(SIGUSR1, ask);
  memory = mmap(NULL, (size_t)own_pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  nameless = share((size_t)nameless_pages * 4096);
  named = share_named();
  generation = share(all_pages * sizeof *generation);
  if (memory == MAP_FAILED || nameless == MAP_FAILED || named == MAP_FAILED || generation == MAP_FAILED) return 1;
  filed = map_file();
  if (filed == MAP_FAILED) return 1;
  for (int page = 0; page < filed_pages; page++) fill_filed(page);
  if (guard(PROT_READ) != 0) return 1;
  for (int page = 0; page < own_pages; page++) fill(page);
  // A part of it is never written.
  for (int page = own_pages; page < own_pages + shared_pages - 256; page++) fill(page);
  FILE *out = fopen("/tmp/writer.pid", "w");
  fprintf(out, "%d\n", (int)getpid());
  fclose(out);
  unsigned seed = 1;
  pid_t child = 0;
  for (unsigned long step = 0;; step++) {
    for (int i = 0; i < 8; i++) fill((int)(rand_r(&seed) % own_pages));
    if (step % 64 == 0) {
      // A stretch goes away and comes back, and all of it moves to another address and back.
      int first = rand_r(&seed) % (own_pages - 32);
      madvise(memory + (size_t)first * page_words, 32 * 4096, MADV_DONTNEED);
      for (int page = first; page < first + 32; page++) fill(page);
    }
    if (step % 32 == 9) give_back((int)(rand_r(&seed) % filed_pages));
    if (step % 256 == 10) {
      if (guard(PROT_READ | PROT_WRITE) != 0) return 1;
      for (int i = 0; i < 8; i++) fill_filed((int)(rand_r(&seed) % filed_pages));
      if (guard(PROT_READ) != 0) return 1;
    }
    if (step % 4096 == 1024) {
      uint64_t *moved = mremap(memory, (size_t)own_pages * 4096, (size_t)own_pages * 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
      if (moved != MAP_FAILED) {
        munmap(memory, (size_t)own_pages * 4096);
        memory = moved;
      }
    }
    if (step % 64 == 7) {
      // One at a time: nobody else writes these pages meanwhile.
      if (child > 0) waitpid(child, NULL, 0);
      child = fork();
      if (child == 0) {
        write_shared(seed);
        _exit(0);
      }
    }
    if (asked) {
      if (child > 0) waitpid(child, NULL, 0);
      child = 0;
      asked = 0;
      judge();
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}
