// Maps so many pages of 2 MiB, fills each with its own pattern and says so in /tmp/huge; then looks each 50 ms whether they still hold it, counting the looks
// in /tmp/looks, and ends with 1 in /tmp/huge when they don't. `refused`: mmap said no.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE (2UL << 20)

static void say(const char* path, const char* text) {
  char temporary[64];
  snprintf(temporary, sizeof temporary, "%s.new", path);
  FILE* file = fopen(temporary, "w");
  if (!file) exit(2);
  fputs(text, file);
  fclose(file);
  rename(temporary, path);
}

static uint64_t pattern(size_t at) { return at * 0x9e3779b97f4a7c15UL + 1; }

int main(int count, char** arguments) {
  size_t pages = count > 1 ? strtoul(arguments[1], NULL, 10) : 1;
  int shared = count > 2 && strcmp(arguments[2], "shared") == 0;
  uint64_t* memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (memory == MAP_FAILED) {
    say("/tmp/huge", "refused\n");
    return 1;
  }
  size_t words = pages * PAGE / sizeof *memory;
  for (size_t at = 0; at < words; at += 61) memory[at] = pattern(at);
  say("/tmp/huge", "filled\n");
  for (unsigned long looks = 1;; ++looks) {
    for (size_t at = 0; at < words; at += 61) {
      if (memory[at] == pattern(at)) continue;
      say("/tmp/huge", "damaged\n");
      return 1;
    }
    char text[32];
    snprintf(text, sizeof text, "%lu\n", looks);
    say("/tmp/looks", text);
    usleep(50000);
  }
}
