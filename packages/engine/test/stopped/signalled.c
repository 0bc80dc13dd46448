// Two megabytes of memory, and gets numbered signals from its child without a pause, and notes in /tmp/signals how many came and how many were missing.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { bytes = 2 << 20, most_waiting = 8 };

static int notes, came, missing;

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  missing += info->si_value.sival_int - came - missing;
  came++;
  char line[48];
  int length = snprintf(line, sizeof line, "%10d %10d\n", came, missing);
  if (pwrite(notes, line, (size_t)length, 0) != length) _exit(1);
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  struct rlimit limit = {most_waiting, most_waiting};
  pid_t parent = getpid();
  notes = open("/tmp/signals", O_CREAT | O_RDWR, 0644);
  if (notes < 0 || sigaction(SIGRTMIN, &action, NULL) != 0 || setrlimit(RLIMIT_SIGPENDING, &limit) != 0) return perror("signalled"), 1;
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (union sigval value = {0};; value.sival_int++) {
      while (sigqueue(parent, SIGRTMIN, value) != 0)
        if (errno != EAGAIN) return 1;
    }
  }
  mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  for (;;) pause();
}
