// See smaps.h; proc_pid_smaps(5), proc_pid_map_files(5). In CRIU (criu/proc_parse.c) smaps and map_files of one process are open together, and the
// mappings are gone through once, in ascending order. The process stands still.

#define _GNU_SOURCE
#include "smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mapping_texts.h"
#include "next.h"

/** Past it the engine is gone, or has no processor: then CRIU reads by itself. */
enum { patienceSeconds = 1, leastRoom = 256 << 10 };

struct known_mapping {
  uint64_t start, end, device, inode;
  int isPrivate;
};

static struct mapping_texts* texts;
/** Of which process smaps is open, and map_files. */
static int process;
static int smapsFd = -1, mapFilesFd = -1;
static const char* text;
static size_t textLength, textAt;
/** For what is read here. */
static char* buffer;
static size_t bufferRoom;
static struct known_mapping* mappings;
static size_t mappingCount, mappingRoom;
/** The mapping that was asked for next to last, and what the kernel has answered of that before it; beyond the end: there is none. */
static size_t nextMapping;
static struct stat64 answered;
static size_t answeredMapping = SIZE_MAX;

void takeMappingTexts(int fd) {
  void* list = mmap(NULL, mappingTextsRoom, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (list != MAP_FAILED) texts = list;
  close(fd);
}

/** 1: the engine has read it. */
static int tookOver(int pid) {
  for (size_t i = 0; texts && i < mappingTextsMost; i++) {
    struct mapping_text* one = &texts->texts[i];
    const int32_t of = __atomic_load_n(&one->pid, __ATOMIC_ACQUIRE);
    if (of == 0) return 0;
    if (of != pid) continue;
    uint32_t state = mappingTextFree;
    if (__atomic_compare_exchange_n(&one->state, &state, mappingTextNone, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 0;
    const struct timespec patience = {.tv_sec = patienceSeconds};
    if (state == mappingTextReading) syscall(SYS_futex, &one->state, FUTEX_WAIT, mappingTextReading, &patience, NULL, 0);
    if (__atomic_load_n(&one->state, __ATOMIC_ACQUIRE) != mappingTextThere) return 0;
    if (one->offset > mappingTextsRoom || one->length > mappingTextsRoom - one->offset) return 0;
    text = (const char*)texts + one->offset;
    textLength = one->length;
    return 1;
  }
  return 0;
}

static int readWhole(int fd) {
  ssize_t (*real)(int, void*, size_t) = NEXT("read");
  size_t length = 0;
  for (;;) {
    if (bufferRoom - length < leastRoom / 2) {
      const size_t room = bufferRoom ? 2 * bufferRoom : leastRoom;
      char* more = realloc(buffer, room);
      if (!more) return 0;
      buffer = more;
      bufferRoom = room;
    }
    const ssize_t count = real(fd, buffer + length, bufferRoom - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return 0;
    if (count == 0) break;
    length += (size_t)count;
  }
  text = buffer;
  textLength = length;
  return 1;
}

static const char* readNumber(const char* at, const char* end, unsigned base, uint64_t* value) {
  *value = 0;
  for (; at < end; at++) {
    const unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10 : base;
    if (digit >= base) break;
    *value = *value * base + digit;
  }
  return at;
}

/** `START-END rwxp OFFSET MAJOR:MINOR INODE …`; 0: it is another line. */
static int readHeader(const char* at, const char* end, struct known_mapping* mapping) {
  uint64_t offset, major, minor;
  at = readNumber(at, end, 16, &mapping->start);
  if (at == end || *at++ != '-') return 0;
  at = readNumber(at, end, 16, &mapping->end);
  if (end - at < 6 || at[0] != ' ' || at[5] != ' ') return 0;
  mapping->isPrivate = at[4] == 'p';
  at = readNumber(at + 6, end, 16, &offset);
  if (at == end || *at++ != ' ') return 0;
  at = readNumber(at, end, 16, &major);
  if (at == end || *at++ != ':') return 0;
  at = readNumber(at, end, 16, &minor);
  if (at == end || *at++ != ' ') return 0;
  readNumber(at, end, 10, &mapping->inode);
  mapping->device = major << 32 | minor;
  return mapping->start < mapping->end;
}

/** Of what can't be told, nothing is. */
static void listMappings(void) {
  mappingCount = 0;
  for (const char *line = text, *end = text + textLength; line < end;) {
    const char* next = memchr(line, '\n', (size_t)(end - line));
    if (!next) break;
    // All lines but those that begin a mapping have a capital letter first.
    if (*line >= 'A' && *line <= 'Z') {
      line = next + 1;
      continue;
    }
    if (mappingCount == mappingRoom) {
      const size_t room = mappingRoom ? 2 * mappingRoom : 256;
      struct known_mapping* more = realloc(mappings, room * sizeof *mappings);
      if (!more) break;
      mappings = more;
      mappingRoom = room;
    }
    if (!readHeader(line, next, &mappings[mappingCount])) break;
    mappingCount++;
    line = next + 1;
  }
}

static void openSmaps(int pid, int fd) {
  text = NULL;
  mappingCount = 0;
  nextMapping = 0;
  answeredMapping = SIZE_MAX;
  if (!tookOver(pid) && !readWhole(fd)) {
    lseek(fd, 0, SEEK_SET);
    return;
  }
  process = pid;
  smapsFd = fd;
  textAt = 0;
  listMappings();
}

void noteOpenedOfProcess(int pid, const char* path, int fd) {
  if (fd < 0) return;
  const int before = errno;
  // closedir(3) isn't heard of.
  if (fd == mapFilesFd) mapFilesFd = -1;
  if (pid > 0 && strcmp(path, "smaps") == 0) openSmaps(pid, fd);
  else if (pid > 0 && pid == process && strcmp(path, "map_files") == 0) mapFilesFd = fd;
  errno = before;
}

ssize_t readSmaps(int fd, void* to, size_t length) {
  if (fd < 0 || fd != smapsFd) return -1;
  const size_t left = textLength - textAt, count = left < length ? left : length;
  memcpy(to, text + textAt, count);
  textAt += count;
  return (ssize_t)count;
}

void forgetSmaps(int fd) {
  if (fd < 0 || fd != smapsFd) return;
  smapsFd = mapFilesFd = -1;
  process = 0;
}

/** Its place in the list; SIZE_MAX: it is not in there. */
static size_t findMapping(const char* path) {
  struct known_mapping asked;
  const char* end = path + strlen(path);
  const char* at = readNumber(path, end, 16, &asked.start);
  if (at == end || *at++ != '-' || readNumber(at, end, 16, &asked.end) != end) return SIZE_MAX;
  while (nextMapping < mappingCount && mappings[nextMapping].start < asked.start) nextMapping++;
  return nextMapping < mappingCount && mappings[nextMapping].start == asked.start && mappings[nextMapping].end == asked.end ? nextMapping : SIZE_MAX;
}

static int ofSameFile(const struct known_mapping* before, const struct known_mapping* mapping) {
  return before->isPrivate && mapping->isPrivate && before->device == mapping->device && before->inode == mapping->inode;
}

int fstatat64(int folder, const char* path, struct stat64* info, int flags) {
  int (*real)(int, const char*, struct stat64*, int) = NEXT("fstatat64");
  const size_t at = folder >= 0 && folder == mapFilesFd && flags == AT_SYMLINK_NOFOLLOW ? findMapping(path) : SIZE_MAX;
  if (at == SIZE_MAX) return real(folder, path, info, flags);
  const struct known_mapping* mapping = &mappings[at];
  // System V's memory may have an inode 0, but has a device.
  if (mapping->device == 0 && mapping->inode == 0) {
    errno = ENOENT;
    return -1;
  }
  if (at > 0 && answeredMapping == at - 1 && ofSameFile(mapping - 1, mapping)) {
    *info = answered;
    answeredMapping = at;
    return 0;
  }
  const int result = real(folder, path, info, flags);
  if (result == 0) {
    answered = *info;
    answeredMapping = at;
  }
  return result;
}
