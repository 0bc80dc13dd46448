// See semaphores.h; eventfd(2).

#define _GNU_SOURCE
#include "semaphores.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "next.h"

enum { mark = O_DIRECT };

/** The eventfd that was made last, with its count. */
static int latest = -1;
static unsigned latestCount;
/** That one, if it is a semaphore now. */
static int unmarked = -1;

ssize_t markSemaphore(int fd, char* text, ssize_t length, size_t room) {
  static const char begin[] = "pos:\t", flagsField[] = "\nflags:\t", semaphore[] = "\neventfd-semaphore: 1\n";
  if (length < (ssize_t)sizeof begin || memcmp(text, begin, sizeof begin - 1) != 0) return length;
  if (!memmem(text, (size_t)length, semaphore, sizeof semaphore - 1)) return length;
  struct statfs where;
  // Anybody may have a file with such text.
  if (fstatfs(fd, &where) != 0 || where.f_type != PROC_SUPER_MAGIC) return length;
  char* flags = memmem(text, (size_t)length, flagsField, sizeof flagsField - 1);
  if (!flags) return length;
  flags += sizeof flagsField - 1;
  char* end;
  unsigned long value = strtoul(flags, &end, 8);
  char marked[32];
  const size_t after = (size_t)(text + length - end);
  const size_t size = (size_t)snprintf(marked, sizeof marked, "0%lo", value | mark);
  if ((size_t)(flags - text) + size + after > room) {
    errno = EOVERFLOW;
    return -1;
  }
  memmove(flags + size, end, after);
  memcpy(flags, marked, size);
  return flags + size + after - text;
}

int eventfd(unsigned count, int flags) {
  int (*real)(unsigned, int) = NEXT("eventfd");
  latestCount = count;
  unmarked = -1;
  return latest = real(count, flags);
}

int takeSemaphoreMark(int fd, int flags) {
  if (fd < 0 || fd != latest) return flags;
  // CRIU sets them right after it has made it: whatever gets its number later is something else.
  latest = -1;
  if (!(flags & mark)) return flags;
  int (*real)(unsigned, int) = NEXT("eventfd");
  int made = real(latestCount, EFD_SEMAPHORE);
  if (made < 0) return -1;
  int placed = dup2(made, fd);
  close(made);
  if (placed < 0) return -1;
  unmarked = fd;
  return flags & ~mark;
}

int giveSemaphoreMark(int fd, int flags) {
  if (flags < 0 || fd != unmarked) return flags;
  unmarked = -1;
  return flags | mark;
}
