// Two megabytes of memory and two threads: one counts in /tmp/ticks, the other can't be stopped, since it waits as vfork does, until somebody makes
// /tmp/go, and makes /tmp/went then.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { bytes = 2 << 20 };

static char *memory;

static void *hold(void *unused) {
  // Not vfork itself, whose child has the same memory and can be stopped.
  if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
    munmap(memory, bytes);
    while (access("/tmp/go", F_OK) != 0) usleep(1000);
    _exit(0);
  }
  close(open("/tmp/went", O_CREAT | O_WRONLY, 0644));
  return unused;
}

int main(void) {
  memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  int ticks = open("/tmp/ticks", O_CREAT | O_RDWR, 0644);
  if (memory == MAP_FAILED || ticks < 0 || pthread_create(&thread, NULL, hold, NULL) != 0) return perror("held"), 1;
  for (unsigned long tick = 1;; tick++) {
    char line[32];
    memset(memory, (int)tick, bytes);
    int length = snprintf(line, sizeof line, "%lu\n", tick);
    if (pwrite(ticks, line, (size_t)length, 0) != length) return perror("/tmp/ticks"), 1;
    usleep(1000);
  }
}
