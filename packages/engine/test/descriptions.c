// Opens files as CRIU does, and prints of each what it reads of it in /proc/self/fdinfo, through the C library and past it: `NAME HOW READS`, where
// HOW is whether both say the same, or the same mount at least, and READS what the reads through the library gave, one after the other.

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int mountOf(const char* text) {
  int mount = -1;
  const char* line = strstr(text, "mnt_id:");
  return line && sscanf(line, "mnt_id: %d", &mount) == 1 ? mount : -1;
}

static void describe(int self, const char* name, int fd) {
  char path[64], through[4096] = "", past[4096] = "", reads[64] = "";
  if (fd < 0) {
    printf("%s none\n", name);
    return;
  }
  snprintf(path, sizeof path, "fdinfo/%d", fd);
  const int file = openat(self, path, O_RDONLY);
  size_t length = 0;
  for (int i = 0; i < 3; i++) {
    const ssize_t count = read(file, through + length, sizeof through - 1 - length);
    if (count > 0) length += (size_t)count;
    strcat(reads, count > 0 ? " some" : count == 0 ? " end" : " error");
  }
  close(file);
  const int plain = (int)syscall(SYS_openat, self, path, O_RDONLY);
  if (syscall(SYS_read, plain, past, sizeof past - 1) <= 0) strcpy(past, "unreadable");
  close(plain);
  // Whatever tells more than position, flags and mount is told whole.
  const int whole = strcmp(through, past) == 0, same = mountOf(through) >= 0 && mountOf(through) == mountOf(past);
  printf("%s %s%s%s\n", name, whole ? "whole" : same ? "same" : "other", reads, strncmp(through, "pos:\t", 5) == 0 ? "" : " headless");
  close(fd);
}

int main(int count, char** names) {
  const int proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_PATH | O_DIRECTORY), self = openat(proc, "self", O_PATH);
  if (proc < 0 || self < 0) return 1;
  for (int i = 1; i < count; i++) describe(self, names[i], openat(AT_FDCWD, names[i], O_RDONLY));
  describe(self, "path", openat(AT_FDCWD, "/proc/self/exe", O_PATH));
  // The number of a file that was opened by its name, for something else.
  describe(self, "socket", socket(AF_UNIX, SOCK_STREAM, 0));
  describe(self, "eventfd", eventfd(7, 0));
  const int watch = inotify_init();
  inotify_add_watch(watch, "/", IN_CREATE);
  describe(self, "watch", watch);
  // A link right in a process's directory leads on; any other is itself.
  struct stat info;
  const int root = openat(self, "root", O_PATH), link = openat(openat(AT_FDCWD, "/proc", O_RDONLY), "mounts", O_PATH);
  printf("root %s\n", root >= 0 && fstat(root, &info) == 0 && S_ISDIR(info.st_mode) ? "followed" : "not followed");
  printf("mounts %s\n", link >= 0 && fstat(link, &info) == 0 && S_ISREG(info.st_mode) ? "followed" : "not followed");
  const int directory = openat(AT_FDCWD, names[count - 1], O_RDONLY);
  const int own = directory < 0 ? -1 : openat(directory, "link", O_PATH);
  printf("link %s\n", own >= 0 && fstat(own, &info) == 0 && S_ISLNK(info.st_mode) ? "itself" : "followed");
  return 0;
}
