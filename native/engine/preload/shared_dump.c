// See shared_dump.h. CRIU (criu/shmem.c) opens the list of the pages of some shared memory, and asks for data and holes of that alone then (lseek(2)).

#define _GNU_SOURCE
#include "shared_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "next.h"

/** An entry of the engine's list, in ascending order within one memory. */
struct unchanged {
  uint64_t memory, start, end;
};

static struct unchanged* list;
static size_t listLength;
/** What CRIU dumps just now: its entries in the list, without those that it has passed. */
static const struct unchanged* entries;
/** The first of them. */
static const struct unchanged* first;
static size_t entryCount;

/** Of what is cut off or can't be had nothing is passed over. */
static void readList(int file) {
  struct stat info;
  if (fstat(file, &info) != 0 || info.st_size <= 0 || info.st_size % sizeof *list != 0) return;
  list = malloc((size_t)info.st_size);
  if (list && pread(file, list, (size_t)info.st_size, 0) == info.st_size) listLength = (size_t)info.st_size / sizeof *list;
}

/** Waits for it; the engine lets go of it in any case. */
static void learnUnchanged(int folder) {
  static int learnt;
  if (learnt) return;
  learnt = 1;
  int file = openat(folder, "parent/unchanged", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  int result;
  while ((result = flock(file, LOCK_SH)) != 0 && errno == EINTR) continue;
  if (result == 0) readList(file);
  close(file);
}

void noteSharedImage(int folder, const char* name, int flags) {
  unsigned long memory;
  int end = 0;
  if (sscanf(name, "pagemap-shmem-%lu.img%n", &memory, &end) != 1 || end == 0 || name[end] != '\0' || (flags & O_ACCMODE) == O_RDONLY) return;
  const int before = errno;
  learnUnchanged(folder);
  entries = first = NULL;
  entryCount = 0;
  for (size_t i = 0; i < listLength; i++) {
    if (list[i].memory != memory) continue;
    if (!entries) entries = first = &list[i];
    entryCount++;
  }
  errno = before;
}

static int isThat(int fd) {
  struct stat info;
  return entryCount > 0 && fstat(fd, &info) == 0 && info.st_ino == entries->memory;
}

/**
 * What the kernel says of the memory that is dumped, which nobody changes. To find the end of some data it looks at each page up to there: asked
 * anew for each range that is unchanged, that was most of the dump's time.
 */
static off64_t seek(off64_t (*real)(int, off64_t, int), int fd, off64_t offset, int whence) {
  static const struct unchanged* of;
  static off64_t from, to;
  if (of != first) to = 0;
  of = first;
  const int known = from <= offset && offset < to;
  if (known) return whence == SEEK_DATA ? offset : to;
  off64_t found = real(fd, offset, whence);
  if (whence == SEEK_HOLE && found > offset) {
    from = offset;
    to = found;
  }
  return found;
}

off64_t lseek64(int fd, off64_t offset, int whence) {
  off64_t (*real)(int, off64_t, int) = NEXT("lseek64");
  if ((whence != SEEK_DATA && whence != SEEK_HOLE) || !isThat(fd)) return real(fd, offset, whence);
  off64_t found = seek(real, fd, offset, whence);
  if (found < 0) return found;
  // It asks in ascending order.
  while (entryCount > 0 && (off64_t)entries->end <= offset) {
    entries++;
    entryCount--;
  }
  for (const struct unchanged* entry = entries; entry < entries + entryCount && (off64_t)entry->start <= found; entry++) {
    if (whence == SEEK_HOLE) return (off64_t)entry->start > offset ? (off64_t)entry->start : offset;
    if ((off64_t)entry->end <= found) continue;
    found = seek(real, fd, (off64_t)entry->end, SEEK_DATA);
    if (found < 0) break;
  }
  return found;
}

ssize_t pread64(int fd, void* buffer, size_t length, off64_t offset) {
  ssize_t (*real)(int, void*, size_t, off64_t) = NEXT("pread64");
  ssize_t count = real(fd, buffer, length, offset);
  if (count > 0 || length == 0) return count;
  const int before = errno;
  char link[64], path[256];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t end = readlink(link, path, sizeof path - 1);
  path[end > 0 ? end : 0] = '\0';
  const char* name = strrchr(path, '/');
  // Pages that should be there: a process without them must not run.
  if (name && strncmp(name, "/pages-", strlen("/pages-")) == 0) _exit(1);
  errno = before;
  return count;
}
