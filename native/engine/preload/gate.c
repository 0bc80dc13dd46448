// See gate.h; the other end is CriuProcess (criu_client.h). What CRIU does before it first looks at the container (it asks the processor
// for its features, which a virtual machine's host has to answer, reads its own cgroups, tries what ptrace can do on a copy of itself) takes
// 2-3 ms, in which the container can still run. So does the kernel, to find CRIU's code page by page.

#define _GNU_SOURCE
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemons.h"
#include "staged_pages.h"

static int gate = -1;

void findGate(void) {
  const char* number = getenv("DROVER_CRIU_GATE");
  if (!number) return;
  gate = atoi(number);
  unsetenv("DROVER_CRIU_GATE");
  if (fcntl(gate, F_SETFD, FD_CLOEXEC) != 0) gate = -1;
}

/** Where the kernel doesn't know this (before Linux 5.14), the pages come when they are wanted. */
static int haveCode(struct dl_phdr_info* object, size_t size, void* nothing) {
  (void)size, (void)nothing;
  const uintptr_t pageMask = 4095;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr)* part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
    const uintptr_t start = object->dlpi_addr + part->p_vaddr;
    madvise((void*)(start & ~pageMask), part->p_memsz + (start & pageMask), 22 /* MADV_POPULATE_READ */);
  }
  return 0;
}

/** One of the engine's words: 's' and a number, to stage that part; it is answered. Any other lets this process go on. */
static ssize_t hear(int images, char* word) {
  uint32_t part;
  ssize_t count;
  while ((count = read(gate, word, 1)) < 0 && errno == EINTR) continue;
  if (count != 1 || *word != 's') return count;
  if (read(gate, &part, sizeof part) != (ssize_t)sizeof part) return -1;
  char answer = stagePart(images, part) == 0 ? 's' : 'f';
  return write(gate, &answer, 1);
}

void waitAtGate(int images) {
  if (gate < 0) return;
  int before = errno;
  dl_iterate_phdr(haveCode, NULL);
  char word = 'r';
  ssize_t count = write(gate, &word, 1);
  do
    if (count == 1) count = hear(images, &word);
  while (count == 1 && word == 's');
  // The engine has died or given up: nothing has been done to the container.
  if (count != 1) _exit(1);
  close(gate);
  gate = -1;
  if (images >= 0) expectDaemons();
  reviewStaged(images);
  errno = before;
}
