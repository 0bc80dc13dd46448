// CRIU asks the kernel which pages of a process are soft-dirty (PAGEMAP_SCAN): it gets for it which were written since the engine protected them
// (page_tracking.h). A page that looks as if it were in swap, unwritten, may be none: in place of a page of a private mapping of a file
// that was protected and given back (MADV_DONTNEED) the kernel leaves a mark, and there is the file's content again. It is dumped as written.

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "next.h"

/** struct pm_scan_arg and struct page_region of linux/fs.h. */
struct scan_arguments {
  uint64_t size, flags, start, end, walk_end, vector, vector_length, most_pages, inverted, mask, any_of, returned;
};
struct region {
  uint64_t start, end, categories;
};
enum { is_written = 1 << 1, is_present = 1 << 3, is_swapped = 1 << 4, is_soft_dirty = 1 << 7 };
enum { page_bytes = 4096, entries_at_once = 512 };
/** Of an entry of pagemap for what is not in memory, the kind of swap (Documentation/admin-guide/mm/pagemap.rst): those of files and devices come first, the kernel's own last. */
enum { kind_of_swap = 31, first_own_kind = 16 };

static int has_mark(int pagemap, const struct region* region) {
  ssize_t (*real)(int, void*, size_t, off64_t) = NEXT("pread64");
  uint64_t entries[entries_at_once];
  for (uint64_t page = region->start / page_bytes, end = region->end / page_bytes; page < end;) {
    const uint64_t count = end - page < entries_at_once ? end - page : entries_at_once;
    // What can't be told is dumped.
    if (real(pagemap, entries, count * sizeof *entries, (off64_t)(page * sizeof *entries)) != (ssize_t)(count * sizeof *entries)) return 1;
    for (uint64_t i = 0; i < count; i++)
      if ((entries[i] & kind_of_swap) >= first_own_kind) return 1;
    page += count;
  }
  return 0;
}

static int was_written(int pagemap, const struct region* region) {
  if (region->categories & is_written) return 1;
  return (region->categories & is_swapped) && !(region->categories & is_present) && has_mark(pagemap, region);
}

int ioctl(int fd, unsigned long request, ...) {
  int (*real)(int, unsigned long, void*) = NEXT("ioctl");
  va_list more;
  va_start(more, request);
  void* argument = va_arg(more, void*);
  va_end(more);
  if (request != _IOWR('f', 16, struct scan_arguments)) return real(fd, request, argument);
  struct scan_arguments* scan = argument;
  const uint64_t asked = scan->returned, added = asked & is_soft_dirty ? is_written | is_present | is_swapped : 0;
  scan->returned |= added;
  const int count = real(fd, request, argument);
  scan->returned = asked;
  struct region* regions = (struct region*)(uintptr_t)scan->vector;
  for (int i = 0; added && i < count; i++) {
    const uint64_t dirty = was_written(fd, &regions[i]) ? is_soft_dirty : 0;
    regions[i].categories = (regions[i].categories & asked & ~(uint64_t)is_soft_dirty) | dirty;
  }
  return count;
}
