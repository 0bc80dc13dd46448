// See premap.h. In the process that is being restored CRIU (criu/mem.c) reserves room for all private mappings, opens the process's pagemap, maps
// them one after the other in ascending order, or takes over those that are its parent's too, and then reads what it wants of its own pages
// and of the parent images'. In the end its restorer moves each mapping to its place and unmaps all else, the rest of what was staged with it.

#define _GNU_SOURCE
#include "premap.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "next.h"
#include "pagemap_image.h"
#include "staged_pages.h"

/** With less in common it is not worth the calls. */
static const uint64_t leastBytes = 64 << 10;

/** A private mapping of the process, as CRIU's images/vma.proto has it. */
struct mapping {
  uint64_t start, end;
  int protection, flags, status;
};
/** What has been moved: this much of a file of pages is to be at this address. */
struct moved {
  dev_t device;
  ino_t inode;
  uint64_t from, to;
  char* at;
};

static int process;
static struct mapping* mappings;
static size_t mappingCount, nextMapping;
static struct pagemap_entry* entries;
static size_t entryCount;
static struct moved* moves;
static size_t moveCount;
/** Where CRIU reserved room last, and where in it the next mapping comes; null: it is not known any more. */
static char* reserved;
static char* cursor;

enum { statusRegular = 1 << 0, statusFilePrivate = 1 << 6, statusAnonymousPrivate = 1 << 9, statusAioRing = 1 << 13 };

static int isPrivate(const struct mapping* mapping) {
  return ((mapping->status & statusRegular) && (mapping->status & (statusFilePrivate | statusAnonymousPrivate))) || (mapping->status & statusAioRing);
}

/** Makes room for one more; null: there is none. */
static void* grow(void** array, size_t count, size_t size) {
  // Doubled when it is full: at each power of two.
  if ((count & (count - 1)) != 0) return *array;
  void* more = realloc(*array, (count ? 2 * count : 1) * size);
  if (more) *array = more;
  return more;
}

static int readMapping(struct image* bytes, struct mapping* mapping) {
  enum { start = 1, end = 2, protection = 5, flags = 6, status = 7 };
  unsigned field;
  uint64_t value;
  struct image ignored;
  int found;
  memset(mapping, 0, sizeof *mapping);
  while ((found = nextField(bytes, &field, &value, &ignored)) == 1) {
    if (field == start) mapping->start = value;
    if (field == end) mapping->end = value;
    if (field == protection) mapping->protection = (int)value;
    if (field == flags) mapping->flags = (int)value;
    if (field == status) mapping->status = (int)value;
  }
  return found == 0 && mapping->start < mapping->end ? 0 : -1;
}

static int readMappings(int folder) {
  enum { fieldMapping = 14 };
  char name[64];
  struct image image, message, bytes;
  unsigned field;
  uint64_t value;
  snprintf(name, sizeof name, "mm-%d.img", process);
  if (openImage(folder, name, &image) != 0) return -1;
  int found = nextMessage(&image, &message);
  while (found == 1 && (found = nextField(&message, &field, &value, &bytes)) == 1) {
    if (field != fieldMapping) continue;
    if (!grow((void**)&mappings, mappingCount, sizeof *mappings) || readMapping(&bytes, &mappings[mappingCount]) != 0) found = -1;
    else if (isPrivate(&mappings[mappingCount])) mappingCount++;
  }
  closeImage(&image);
  return found;
}

static int readEntries(int folder) {
  struct image image;
  uint32_t pages;
  int found = 1;
  if (openPagemap(folder, process, &image, &pages) != 0) return -1;
  while (found == 1) {
    found = grow((void**)&entries, entryCount, sizeof *entries) ? nextEntry(&image, &entries[entryCount]) : -1;
    if (found == 1) entryCount++;
  }
  closeImage(&image);
  return found;
}

static int hasStaged(int pid) {
  size_t count;
  const struct staged_range* ranges = stagedRanges(&count);
  for (size_t i = 0; ranges && i < count; i++)
    if (ranges[i].pid == pid && !ranges[i].gone) return 1;
  return 0;
}

void noteMemoryImage(int folder, const char* name, int flags) {
  size_t count;
  int pid, end;
  if (!stagedRanges(&count) || (flags & O_ACCMODE) != O_RDONLY) return;
  // The second one of the same name is in the parent images.
  if (sscanf(name, "pagemap-%d.img%n", &pid, &end) != 1 || name[end] != '\0' || pid == process) return;
  process = pid;
  mappingCount = nextMapping = entryCount = moveCount = 0;
  cursor = reserved && hasStaged(pid) && readMappings(folder) == 0 && readEntries(folder) == 0 ? reserved : NULL;
}

/** The staged range that has most of this mapping in it, and all of it in its area. */
static struct staged_range* rangeOf(const struct mapping* mapping) {
  size_t count;
  struct staged_range* ranges = stagedRanges(&count);
  struct staged_range* best = NULL;
  uint64_t most = leastBytes - 1;
  for (size_t i = 0; i < count; i++) {
    struct staged_range* range = &ranges[i];
    if (range->gone || range->pid != process || mapping->start + range->room < range->start || mapping->end > range->end + range->room) continue;
    if (mapping->flags != (MAP_PRIVATE | MAP_ANONYMOUS | range->flags)) continue;
    const uint64_t first = mapping->start > range->start ? mapping->start : range->start, last = mapping->end < range->end ? mapping->end : range->end;
    if (first >= last || last - first <= most) continue;
    most = last - first;
    best = range;
  }
  return best;
}

/** Where nothing is said to be, there is to be nothing: it was unmapped or given back since. */
static int dropUnmentioned(const struct mapping* mapping, char* at) {
  uint64_t from = mapping->start;
  for (size_t i = 0; i <= entryCount && from < mapping->end; i++) {
    uint64_t to = i < entryCount && entries[i].start < mapping->end ? entries[i].start : mapping->end;
    if (to > from && madvise(at + (from - mapping->start), to - from, MADV_DONTNEED) != 0) return -1;
    if (i < entryCount && entries[i].end > from) from = entries[i].end;
  }
  return 0;
}

/** 0: the staged pages are at this address now, where CRIU has mapped the mapping. */
static int takeStaged(const struct mapping* mapping, char* at) {
  const struct staged_range* range = rangeOf(mapping);
  if (!range || mapping->protection != (PROT_READ | PROT_WRITE) || !grow((void**)&moves, moveCount, sizeof *moves)) return 0;
  void* (*move)(void*, size_t, size_t, int, ...) = NEXT("mremap");
  const size_t length = mapping->end - mapping->start;
  char* from = mapping->start >= range->start ? range->copy + (mapping->start - range->start) : range->copy - (range->start - mapping->start);
  if (move(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at || dropUnmentioned(mapping, at) != 0) return -1;
  const uint64_t first = mapping->start > range->start ? mapping->start : range->start, last = mapping->end < range->end ? mapping->end : range->end;
  const uint64_t place = range->place + (first - range->start);
  moves[moveCount++] = (struct moved){range->device, range->inode, place, place + (last - first), at + (first - mapping->start)};
  return 0;
}

/** CRIU has put the next mapping at this address; it is as it should be. */
static const struct mapping* nextAt(char* at, size_t length) {
  enum { guardPage = pageBytes };
  if (!cursor || at != cursor) return NULL;
  const struct mapping* mapping = nextMapping < mappingCount ? &mappings[nextMapping++] : NULL;
  const size_t expected = mapping ? mapping->end - mapping->start : 0;
  const int guarded = mapping && mapping->flags & MAP_GROWSDOWN && length == expected + guardPage;
  cursor = mapping && (length == expected || guarded) ? cursor + length : NULL;
  return cursor && !guarded ? mapping : NULL;
}

void* mmap64(void* at, size_t length, int protection, int flags, int fd, off64_t offset) {
  void* (*real)(void*, size_t, int, int, int, off64_t) = NEXT("mmap64");
  void* result = real(at, length, protection, flags, fd, offset);
  size_t count;
  if (result == MAP_FAILED || !stagedRanges(&count)) return result;
  if (!at && protection == PROT_NONE && flags == (MAP_PRIVATE | MAP_ANONYMOUS)) {
    reserved = result;
    return result;
  }
  const struct mapping* mapping = (flags & MAP_FIXED) && result == at ? nextAt(at, length) : NULL;
  const int same = mapping && protection == (PROT_READ | PROT_WRITE) && flags == (mapping->flags | MAP_FIXED);
  // Half done is not to be had: then this restore fails, and the container goes on where it is.
  if (same && takeStaged(mapping, at) != 0) return MAP_FAILED;
  return result;
}

void* mremap(void* from, size_t length, size_t newLength, int flags, ...) {
  void* (*real)(void*, size_t, size_t, int, ...) = NEXT("mremap");
  va_list more;
  va_start(more, flags);
  void* to = flags & MREMAP_FIXED ? va_arg(more, void*) : NULL;
  va_end(more);
  void* result = real(from, length, newLength, flags, to);
  if (result != MAP_FAILED && result == to) (void)nextAt(to, newLength);
  return result;
}

/** How much of this, from its beginning, has been moved there; 0: none, and `*until` says where that may change. -1: something else has. */
static int64_t alreadyThere(const struct stat* file, const char* at, uint64_t from, uint64_t length, uint64_t* until) {
  *until = length;
  for (size_t i = 0; i < moveCount; i++) {
    const struct moved* moved = &moves[i];
    const uint64_t bytes = moved->to - moved->from;
    const int inside = at >= moved->at && at < moved->at + bytes;
    if (at < moved->at && (uint64_t)(moved->at - at) < *until) *until = (uint64_t)(moved->at - at);
    if (!inside || file->st_dev != moved->device || file->st_ino != moved->inode) continue;
    if (from != moved->from + (uint64_t)(at - moved->at)) return -1;
    const uint64_t left = moved->to - from;
    return (int64_t)(left < length ? left : length);
  }
  return 0;
}

ssize_t preadv64(int fd, const struct iovec* vectors, int count, off64_t offset) {
  ssize_t (*real)(int, const struct iovec*, int, off64_t) = NEXT("preadv64");
  struct stat file;
  size_t staged;
  if (moveCount == 0 || !stagedRanges(&staged) || fstat(fd, &file) != 0) return real(fd, vectors, count, offset);
  ssize_t done = 0;
  for (int i = 0; i < count; i++) {
    for (uint64_t at = 0; at < vectors[i].iov_len;) {
      char* to = (char*)vectors[i].iov_base + at;
      uint64_t until;
      int64_t there = alreadyThere(&file, to, (uint64_t)(offset + done), vectors[i].iov_len - at, &until);
      // Memory is not where it was thought to be: nothing of this may run.
      if (there < 0) _exit(1);
      if (there == 0) {
        struct iovec one = {to, until};
        there = real(fd, &one, 1, offset + done);
        if (there <= 0) return done > 0 ? done : there;
      }
      at += (uint64_t)there;
      done += there;
    }
  }
  return done;
}
