// See few_mappings.h; proc_pid_maps(5), mremap(2). Whoever is forked gets a copy of each mapping (0.5 µs and more) and, of a file's mapping, no page
// table unless one of its pages is the process's own; then its pages are looked for one fault at a time. At the end, or when a restored
// process lets go of what was CRIU's, each mapping costs again. So what lies together, and may be written to or may not, becomes one piece
// of memory with the same content at the same place. What may not be written to may be read and run then, constants too.

#define _GNU_SOURCE
#include "few_mappings.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { mostPieces = 128, longestList = 64 * 1024 };

struct piece {
  uintptr_t start, end;
  int protection;
  /** It has pages of a file. */
  int ofFile;
};

static ssize_t readList(char* list, size_t room) {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t length = 0;
  for (ssize_t count; length < room - 1 && (count = read(fd, list + length, room - 1 - length)) > 0;) length += (size_t)count;
  close(fd);
  list[length] = '\0';
  return length < room - 1 ? (ssize_t)length : -1;
}

/** 0: it is not for us. */
static int parseLine(const char* line, struct piece* piece) {
  char rights[5];
  unsigned long inode;
  int nameAt = 0;
  if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*x:%*x %lu %n", &piece->start, &piece->end, rights, &inode, &nameAt) != 4) return 0;
  if (rights[0] != 'r' || rights[3] != 'p') return 0;
  piece->ofFile = inode != 0;
  // The heap, the stack, and what the kernel gave; what has no name may be variables that begin as zeros.
  if (!piece->ofFile && line[nameAt] != '\n' && line[nameAt] != '\0') return 0;
  piece->protection = PROT_READ | (rights[1] == 'w' ? PROT_WRITE : 0) | (rights[2] == 'x' ? PROT_EXEC : 0);
  return 1;
}

static int joins(const struct piece* before, const struct piece* piece) {
  return before->end == piece->start && ((before->protection ^ piece->protection) & PROT_WRITE) == 0;
}

/** Nothing may be written to it meanwhile, so this uses no memory but the stack. */
static void replace(const struct piece* piece) {
  const size_t length = piece->end - piece->start;
  void* copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return;
  memcpy(copy, (const void*)piece->start, length);
  if (mprotect(copy, length, piece->protection) != 0 || mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, piece->start) == MAP_FAILED)
    munmap(copy, length);
}

void joinMappings(void) {
  static char list[longestList];
  static struct piece pieces[mostPieces];
  int count = 0;
  if (readList(list, sizeof list) < 0) return;
  for (char* line = list; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
    struct piece piece;
    if (!parseLine(line, &piece)) continue;
    if (count > 0 && joins(&pieces[count - 1], &piece)) {
      pieces[count - 1].end = piece.end;
      pieces[count - 1].protection |= piece.protection;
      pieces[count - 1].ofFile |= piece.ofFile;
    } else if (count < mostPieces) {
      pieces[count++] = piece;
    }
  }
  for (int i = 0; i < count; i++)
    if (pieces[i].ofFile) replace(&pieces[i]);
}
