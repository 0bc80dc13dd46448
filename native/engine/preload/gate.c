// See gate.h; the other end is CriuProcess (criu_client.h). What CRIU does before it first looks at the container (it asks the processor
// for its features, which a virtual machine's host has to answer, reads its own cgroups, tries what ptrace can do on a copy of itself) takes
// 2-3 ms, in which the container can still run. So does the kernel, to find CRIU's code page by page, and to give it memory of its own.

#define _GNU_SOURCE
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons.h"
#include "in_place.h"
#include "next.h"
#include "smaps.h"
#include "staged_pages.h"

static int gate = -1;

void findGate(void) {
  const char* number = getenv("DROVER_CRIU_GATE");
  if (!number) return;
  gate = atoi(number);
  unsetenv("DROVER_CRIU_GATE");
  if (fcntl(gate, F_SETFD, FD_CLOEXEC) != 0) gate = -1;
}

enum { populateRead = 22, populateWrite = 23 /* MADV_POPULATE_… */ };
/** As much as the dump of a small container asks for. */
enum { heapBytes = 512 << 10, stackBytes = 64 << 10 };

static void populate(uintptr_t start, uintptr_t end, int how) {
  start &= ~(uintptr_t)(pageBytes - 1);
  if (start < end) madvise((void*)start, end - start, how);
}

/** Where the kernel doesn't know this (before Linux 5.14), the pages come when they are wanted. */
static int haveImage(struct dl_phdr_info* object, size_t size, void* nothing) {
  (void)size, (void)nothing;
  uintptr_t sealed = 0;
  for (int i = 0; i < object->dlpi_phnum; i++)
    if (object->dlpi_phdr[i].p_type == PT_GNU_RELRO) sealed = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr + object->dlpi_phdr[i].p_memsz;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr)* part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD) continue;
    const uintptr_t start = object->dlpi_addr + part->p_vaddr, end = start + part->p_memsz;
    if ((part->p_flags & PF_W) == 0) populate(start, end, populateRead);
    // What is only read once all is linked lies at its beginning.
    else populate(sealed > start && sealed <= end ? (sealed + pageBytes - 1) & ~(uintptr_t)(pageBytes - 1) : start, end, populateWrite);
  }
  return 0;
}

/** The copy of a CRIU has its memory page by page as it writes. */
static void haveMemory(void) {
  uintptr_t start, end;
  char line[256], kind;
  mallopt(M_TRIM_THRESHOLD, 64 * heapBytes);
  mallopt(M_TOP_PAD, heapBytes);
  free(malloc(heapBytes / 2));
  FILE* maps = fopen("/proc/self/maps", "re");
  while (maps && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx %*s %*s %*s %*s [hea%c", &start, &end, &kind) == 3) populate(start, end, populateWrite);
  if (maps) fclose(maps);
  volatile char stack[stackBytes];
  for (size_t at = 0; at < sizeof stack; at += pageBytes) stack[at] = 0;
}

/** One byte, and what the engine gives with it: a descriptor of the mappings' texts. */
static ssize_t receive(char* word) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } given;
  struct iovec byte = {word, 1};
  struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &given, .msg_controllen = sizeof given};
  ssize_t (*real)(int, struct msghdr*, int) = NEXT("recvmsg");
  ssize_t count;
  while ((count = real(gate, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) continue;
  const struct cmsghdr* header = count == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  int fd;
  if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof fd)) {
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    takeMappingTexts(fd);
  }
  return count;
}

/** One of the engine's words: 's' and a number, to stage that part; it is answered. Any other lets this process go on. */
static ssize_t hear(int images, char* word) {
  uint32_t part;
  ssize_t count = receive(word);
  if (count != 1 || *word != 's') return count;
  if (read(gate, &part, sizeof part) != (ssize_t)sizeof part) return -1;
  char answer = stagePart(images, part) == 0 ? 's' : 'f';
  return write(gate, &answer, 1);
}

void waitAtGate(int images) {
  if (gate < 0) return;
  int before = errno;
  if (images < 0) prepareInPlace();
  haveMemory();
  dl_iterate_phdr(haveImage, NULL);
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
