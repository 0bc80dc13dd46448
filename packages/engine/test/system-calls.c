// Makes one system call and prints how it ended. Words: getppid, getppid-32 (the call of a 32-bit program), io_uring.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long getppid32(void) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(64) : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
#else
  return syscall(SYS_getppid);
#endif
}

int main(int count, char **words) {
  const char *call = count > 1 ? words[1] : "";
  char parameters[256] = {0};
  long result = -1;
  errno = EINVAL;
  if (strcmp(call, "getppid") == 0) result = syscall(SYS_getppid);
  if (strcmp(call, "getppid-32") == 0) result = getppid32();
  if (strcmp(call, "io_uring") == 0) result = syscall(SYS_io_uring_setup, 0, parameters);
  puts(result >= 0 ? "done" : strerrorname_np(errno));
  return 0;
}
