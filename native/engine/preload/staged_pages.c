// See staged_pages.h.

#define _GNU_SOURCE
#include "staged_pages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pagemap_image.h"

enum { mostRanges = 16384 };
static const uint64_t leastRange = 64 << 10;
/** How far an area reaches beyond its range: a quarter of it, within these. Nothing is there but addresses. */
static const uint64_t leastRoom = 2 << 20, mostRoom = 64 << 20;
enum { mostGenerations = 1000 };
enum { hugeBytes = 2 << 20 };

static struct staged_range* ranges;
static size_t rangeCount;
static int given;
/** The processes that will be. */
static struct kinship {
  int pid, parent;
}* family;
static size_t familySize;
/** Becomes 0 in each fork (MADV_WIPEONFORK): whether this process knows what it has. */
static int* known;

static void dropAll(void) {
  for (size_t i = 0; i < rangeCount; i++) {
    munmap(ranges[i].copy - ranges[i].room, ranges[i].end - ranges[i].start + 2 * ranges[i].room);
    free(ranges[i].huge);
  }
  free(ranges);
  ranges = NULL;
  rangeCount = 0;
  given = 1;
}

static int addRange(const struct staged_range* range) {
  if (rangeCount == mostRanges) return -1;
  struct staged_range* more = realloc(ranges, (rangeCount + 1) * sizeof *ranges);
  if (!more) return -1;
  ranges = more;
  struct staged_range* added = &ranges[rangeCount];
  *added = *range;
  const uint64_t length = range->end - range->start, quarter = length / 4 & ~(uint64_t)(pageBytes - 1);
  added->room = quarter < leastRoom ? leastRoom : quarter > mostRoom ? mostRoom : quarter;
  void* area = mmap(NULL, length + 2 * added->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | range->flags, -1, 0);
  if (area == MAP_FAILED) return -1;
  added->copy = (char*)area + added->room;
  added->huge = calloc(length / hugeBytes + 1, 1);
  rangeCount++;
  return 0;
}

/** All that one process of the parent images has. */
static int addProcess(int parent, int pid) {
  struct image image;
  struct pagemap_entry entry;
  struct stat info;
  char name[64];
  struct staged_range range = {.pid = pid};
  if (openPagemap(parent, pid, &image, &range.image) != 0) return -1;
  snprintf(name, sizeof name, "pages-%u.img", range.image);
  int found = fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? 1 : -1;
  range.device = info.st_dev;
  range.inode = info.st_ino;
  while (found == 1 && (found = nextEntry(&image, &entry)) == 1) {
    range.start = entry.start;
    range.end = entry.end;
    range.flags = entry.flags & MAP_NORESERVE;
    // The kernel moves whole mappings: no page of a file's comes from elsewhere. Small ones are not worth the calls.
    const int staged = !entry.ofFile && entry.end - entry.start >= leastRange;
    if (staged && addRange(&range) != 0) found = -1;
    range.place += entry.end - entry.start;
  }
  closeImage(&image);
  return found;
}

static int addAll(int parent) {
  int copy = fcntl(parent, F_DUPFD_CLOEXEC, 0);
  DIR* stream = copy < 0 ? NULL : fdopendir(copy);
  if (!stream) {
    if (copy >= 0) close(copy);
    return -1;
  }
  int result = 0, pid, end;
  for (struct dirent* entry; result == 0 && (entry = readdir(stream));)
    if (sscanf(entry->d_name, "pagemap-%d.img%n", &pid, &end) == 1 && entry->d_name[end] == '\0') result = addProcess(parent, pid);
  closedir(stream);
  return result;
}

static int readInto(int file, char* to, uint64_t length, uint64_t offset) {
  while (length > 0) {
    ssize_t count = pread(file, to, length, (off_t)offset);
    if (count <= 0) return -1;
    to += count;
    length -= (uint64_t)count;
    offset += (uint64_t)count;
  }
  return 0;
}

struct run {
  uint32_t image, pages;
  uint64_t offset;
};

/** Whether this block has all of its pages, for the first time that it does. */
static int becameWhole(struct staged_range* range, uintptr_t block) {
  unsigned char there[hugeBytes / pageBytes];
  const uintptr_t begin = (uintptr_t)range->copy, end = begin + (range->end - range->start);
  if (block < begin || block + hugeBytes > end) return 0;
  unsigned char* known = &range->huge[(block - begin) / hugeBytes];
  if (*known || mincore((void*)block, hugeBytes, there) != 0) return 0;
  for (size_t i = 0; i < sizeof there; i++)
    if (!(there[i] & 1)) return 0;
  return *known = 1;
}

/**
 * A huge page has one entry in place of 512 for each fork and for each process that lets go of it (7 ms for 200 MB, each time). Made of pages that
 * are there: to ask for them before (MADV_HUGEPAGE) would mark the memory for ever. Where they can't be had, small ones do.
 */
static void makeHuge(struct staged_range* range, uint64_t first, uint64_t last) {
  if (!range->huge) return;
  const uintptr_t begin = (uintptr_t)range->copy;
  uintptr_t from = (begin + first) & ~(uintptr_t)(hugeBytes - 1), to = from;
  // As many at once as can be: each call waits for all processors.
  for (; to < begin + last; to += hugeBytes) {
    if (becameWhole(range, to)) continue;
    if (from < to) madvise((void*)from, to - from, 25 /* MADV_COLLAPSE, from Linux 6.1 */);
    from = to + hugeBytes;
  }
  if (from < to) madvise((void*)from, to - from, 25 /* MADV_COLLAPSE */);
}

/** What of these pages is in a range, from where to where of it. */
static int inRange(const struct staged_range* range, const struct run* run, uint64_t* first, uint64_t* last) {
  const uint64_t from = run->offset * pageBytes, to = from + (uint64_t)run->pages * pageBytes;
  const uint64_t end = range->place + range->end - range->start;
  const uint64_t start = from > range->place ? from : range->place, stop = to < end ? to : end;
  if (range->image != run->image || start >= stop) return 0;
  *first = start - range->place;
  *last = stop - range->place;
  return 1;
}

static int readRun(int parent, const struct run* run) {
  int file = -1, result = 0;
  uint64_t first, last;
  char name[64];
  snprintf(name, sizeof name, "pages-%u.img", run->image);
  for (size_t i = 0; result == 0 && i < rangeCount; i++) {
    if (!inRange(&ranges[i], run, &first, &last)) continue;
    if (file < 0) file = openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    result = file < 0 ? -1 : readInto(file, ranges[i].copy + first, last - first, ranges[i].place + first);
  }
  if (file >= 0) close(file);
  return result;
}

static int makeRunHuge(int parent, const struct run* run) {
  (void)parent;
  uint64_t first, last;
  for (size_t i = 0; i < rangeCount; i++)
    if (inRange(&ranges[i], run, &first, &last)) makeHuge(&ranges[i], first, last);
  return 0;
}

/** Has each run of a part done. */
static int eachRun(int parent, uint32_t number, int (*act)(int, const struct run*)) {
  char name[64];
  uint32_t count;
  struct run run;
  snprintf(name, sizeof name, "laid-%u", number);
  int list = openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  int result = list >= 0 && read(list, &count, sizeof count) == sizeof count ? 0 : -1;
  for (; result == 0 && count > 0; count--) result = read(list, &run, sizeof run) == sizeof run ? act(parent, &run) : -1;
  if (list >= 0) close(list);
  return result;
}

int stagePart(int images, uint32_t number) {
  if (given) return -1;
  // What is not there must not come with what is: the areas are to have no more pages than the process.
  const int huge = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
  int parent = openat(images, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  int result = parent >= 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 ? 0 : -1;
  if (result == 0 && !ranges) result = addAll(parent);
  if (result == 0) result = eachRun(parent, number, readRun);
  prctl(PR_SET_THP_DISABLE, huge, 0, 0, 0);
  if (result == 0 && huge == 0) eachRun(parent, number, makeRunHuge);
  if (parent >= 0) close(parent);
  if (result != 0) dropAll();
  return result;
}

struct staged_range* stagedRanges(size_t* count) {
  *count = rangeCount;
  return known && *known ? ranges : NULL;
}

static int readFamily(int images) {
  enum { fieldPid = 1, fieldParent = 2 };
  struct image image, message, ignored;
  if (openImage(images, "pstree.img", &image) != 0) return -1;
  int found;
  while ((found = nextMessage(&image, &message)) == 1) {
    struct kinship* more = realloc(family, (familySize + 1) * sizeof *family);
    if (!more) found = -1;
    else family = more;
    if (found < 0) break;
    struct kinship one = {0, 0};
    unsigned field;
    uint64_t value;
    while (nextField(&message, &field, &value, &ignored) == 1) {
      if (field == fieldPid) one.pid = (int)value;
      if (field == fieldParent) one.parent = (int)value;
    }
    family[familySize++] = one;
  }
  closeImage(&image);
  return found;
}

static int parentOf(int pid) {
  for (size_t i = 0; i < familySize; i++)
    if (family[i].pid == pid) return family[i].parent;
  return 0;
}

static int descendsFrom(int pid, int ancestor) {
  for (int generation = 0; pid > 0 && generation < mostGenerations; generation++, pid = parentOf(pid))
    if (pid == ancestor) return 1;
  return 0;
}

static int advise(const struct staged_range* range, int advice) {
  return madvise(range->copy - range->room, range->end - range->start + 2 * range->room, advice);
}

void reviewStaged(int images) {
  if (!ranges) return;
  int* page = mmap(NULL, pageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int result = page == MAP_FAILED ? -1 : madvise(page, pageBytes, MADV_WIPEONFORK);
  if (result == 0) result = readFamily(images);
  for (size_t i = 0; result == 0 && i < rangeCount; i++) result = advise(&ranges[i], MADV_DONTFORK);
  if (result != 0) return dropAll();
  known = page;
  *known = 1;
}

/** The pid that clone3(2) is to give; 0: none in particular. */
static int pidToBe(const void* arguments) {
  const struct clone_args* asked = arguments;
  return asked->set_tid_size > 0 ? *(const pid_t*)(uintptr_t)asked->set_tid : 0;
}

long makeProcess(long (*real)(long, ...), const void* arguments, long size) {
  if (!known || !*known) return real(SYS_clone3, arguments, size);
  const int pid = pidToBe(arguments);
  for (size_t i = 0; i < rangeCount; i++)
    // What could not be made inheritable is given up, here and there.
    if (!ranges[i].gone && descendsFrom(ranges[i].pid, pid) && advise(&ranges[i], MADV_DOFORK) != 0) ranges[i].gone = 1;
  long result = real(SYS_clone3, arguments, size);
  const int number = errno;
  for (size_t i = 0; i < rangeCount; i++) {
    const int inherited = descendsFrom(ranges[i].pid, pid);
    if (result == 0 && !inherited) ranges[i].gone = 1;
    // Its own are about to be its memory; a descendant's wait for that one alone.
    const int passes = inherited && !ranges[i].gone && (result != 0 || ranges[i].pid != pid);
    if (passes && advise(&ranges[i], MADV_DONTFORK) != 0) ranges[i].gone = 1;
  }
  if (result == 0) *known = 1;
  errno = number;
  return result;
}
