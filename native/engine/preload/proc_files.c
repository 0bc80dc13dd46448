// See proc_files.h; proc_pid_fdinfo(5). What the kernel adds for sockets, watches, timers and other files of a kind of their own is read from it as ever.

#define _GNU_SOURCE
#include "proc_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smaps.h"

/** What is known of a descriptor; of those beyond, nothing. */
enum kind { unknown, opened, allProcesses, oneProcess, ownProcess, description, descriptionsEnd };
enum { mostDescriptors = 4096 };
static unsigned char kinds[mostDescriptors];
/** Of a process's directory, which one's. */
static int numbers[mostDescriptors];

/** What CRIU gets instead of a description: one at a time. */
static struct {
  int fd, isOpen;
  char text[128];
  size_t length, at;
} invented = {.fd = -1};

static const char descriptions[] = "fdinfo/";

static enum kind kindOf(int fd) { return fd >= 0 && fd < mostDescriptors ? kinds[fd] : unknown; }

int isProcFolder(int fd) {
  const enum kind kind = kindOf(fd);
  return kind == allProcesses || kind == oneProcess || kind == ownProcess;
}

void noteOpenedInProc(int folder, const char* path, int fd) {
  noteOpenedOfProcess(kindOf(folder) == oneProcess ? numbers[folder] : 0, path, fd);
  if (fd < 0 || fd >= mostDescriptors) return;
  if (strcmp(path, "/proc") == 0) kinds[fd] = allProcesses;
  else if (kindOf(folder) == allProcesses) {
    kinds[fd] = strcmp(path, "self") == 0 ? ownProcess : oneProcess;
    numbers[fd] = atoi(path);
  }
  else if (isProcFolder(folder) && strncmp(path, descriptions, sizeof descriptions - 1) == 0) kinds[fd] = description;
  else kinds[fd] = opened;
}

int openDescription(int folder, const char* path) {
  if (invented.isOpen || kindOf(folder) != ownProcess || strncmp(path, descriptions, sizeof descriptions - 1) != 0) return -1;
  char* end;
  const int of = (int)strtol(path + sizeof descriptions - 1, &end, 10);
  struct statx info;
  if (*end != '\0' || kindOf(of) != opened || statx(of, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &info) != 0) return -1;
  if ((info.stx_mask & STATX_MNT_ID) == 0 || (!S_ISREG(info.stx_mode) && !S_ISDIR(info.stx_mode))) return -1;
  const int flags = fcntl(of, F_GETFL);
  if (flags < 0 || (invented.fd < 0 && (invented.fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)) return -1;
  // One that was opened as a path alone has none.
  const off_t position = lseek(of, 0, SEEK_CUR);
  invented.length = (size_t)snprintf(invented.text, sizeof invented.text, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%llu\n", position < 0 ? 0LL : (long long)position, (unsigned)flags,
                                     (unsigned long long)info.stx_mnt_id);
  invented.at = 0;
  invented.isOpen = 1;
  return invented.fd;
}

ssize_t readDescription(int fd, void* buffer, size_t length) {
  if (fd < 0) return -1;
  const ssize_t ofMappings = readSmaps(fd, buffer, length);
  if (ofMappings >= 0) return ofMappings;
  if (kindOf(fd) == descriptionsEnd) return 0;
  if (!invented.isOpen || fd != invented.fd) return -1;
  const size_t left = invented.length - invented.at, count = left < length ? left : length;
  memcpy(buffer, invented.text + invented.at, count);
  invented.at += count;
  return (ssize_t)count;
}

/** The kernel gives as much of it as fits. */
void noteReadInProc(int fd, ssize_t count, size_t length) {
  if (count >= 0 && (size_t)count < length && kindOf(fd) == description) kinds[fd] = descriptionsEnd;
}

int closeInProc(int fd) {
  if (fd < 0) return 0;
  forgetSmaps(fd);
  if (fd == invented.fd) {
    invented.isOpen = 0;
    return 1;
  }
  if (fd < mostDescriptors) kinds[fd] = unknown;
  return 0;
}
