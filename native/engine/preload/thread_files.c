#define _GNU_SOURCE
#include "thread_files.h"

#include <ctype.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char tasks[] = "/task/";

/** Digits at the beginning, ended by a slash or with the text. */
static size_t numberAt(const char* text) {
  size_t digits = 0;
  while (isdigit((unsigned char)text[digits])) digits++;
  return text[digits] == '/' || text[digits] == '\0' ? digits : 0;
}

int openOfFirstThread(OpenAt open, int folder, const char* path, int flags) {
  errno = ENOENT;
  const char* slash = path[0] == '/' ? NULL : strstr(path, tasks);
  if (!slash) return -1;
  const char* process = slash;
  while (process > path && process[-1] != '/') process--;
  const char* thread = slash + strlen(tasks);
  const size_t digits = numberAt(thread);
  if (digits == 0 || numberAt(process) != (size_t)(slash - process)) return -1;
  char other[4096];
  const int length = snprintf(other, sizeof other, "%.*s%.*s%s", (int)(thread - path), path, (int)(slash - process), process, thread + digits);
  if (length < 0 || length >= (int)sizeof other) return -1;
  const int fd = open(folder, other, flags, 0);
  struct statfs where;
  if (fd >= 0 && fstatfs(fd, &where) == 0 && where.f_type == PROC_SUPER_MAGIC) return fd;
  if (fd >= 0) close(fd);
  errno = ENOENT;
  return -1;
}
