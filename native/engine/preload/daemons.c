// See daemons.h. usernsd is asked to exit, and does when it has done what it was asked before; the other one is killed.

#define _GNU_SOURCE
#include "daemons.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "next.h"

enum { mostDaemons = 4 };

static struct {
  pid_t pid;
  /** The end of a pipe in which it says that it is done. */
  int farewell;
  /** It is killed, or has said that it is done; then only to be reaped. */
  int killed, left;
} daemons[mostDaemons];
static int daemonCount;
/** Who expects daemons. */
static pid_t parent;
/** In a daemon: itself, and where it says that it is done. */
static pid_t self;
static int farewell = -1;

/** At the end of whoever inherited this. */
static void atExit(int status, void* nothing) {
  (void)nothing;
  const pid_t pid = getpid();
  if (pid == self && status == 0) (void)!write(farewell, "", 1);
  if (pid != parent) return;
  for (int i = 0; i < daemonCount; i++)
    if (daemons[i].left) waitpid(daemons[i].pid, NULL, 0);
}

void expectDaemons(void) {
  if (on_exit(atExit, NULL) == 0) parent = getpid();
}

pid_t forkDaemon(pid_t (*real)(void)) {
  int ends[2];
  if (parent == 0 || getpid() != parent || daemonCount == mostDaemons || pipe2(ends, O_CLOEXEC) != 0) return real();
  const pid_t pid = real();
  if (pid == 0) {
    self = getpid();
    farewell = ends[1];
    close(ends[0]);
    return 0;
  }
  int error = errno;
  close(ends[1]);
  if (pid > 0) {
    daemons[daemonCount].pid = pid;
    daemons[daemonCount++].farewell = ends[0];
  } else {
    close(ends[0]);
  }
  errno = error;
  return pid;
}

static int findDaemon(pid_t pid) {
  for (int i = 0; i < daemonCount && getpid() == parent; i++)
    if (daemons[i].pid == pid) return i;
  return -1;
}

int kill(pid_t pid, int number) {
  int (*real)(pid_t, int) = NEXT("kill");
  int result = real(pid, number);
  int at = result == 0 && (number == SIGTERM || number == SIGKILL) ? findDaemon(pid) : -1;
  if (at >= 0) daemons[at].killed = number;
  return result;
}

int hasSaidFarewell(pid_t pid, int* status) {
  int at = findDaemon(pid);
  if (at < 0 || daemons[at].left) return 0;
  char word;
  ssize_t count = 0;
  while (!daemons[at].killed && (count = read(daemons[at].farewell, &word, 1)) < 0 && errno == EINTR) continue;
  close(daemons[at].farewell);
  daemons[at].farewell = -1;
  // It has ended without a word: the kernel knows how.
  if (!daemons[at].killed && count != 1) return 0;
  daemons[at].left = 1;
  if (status) *status = daemons[at].killed;
  return 1;
}

int wasLeftBehind(pid_t pid) {
  int at = findDaemon(pid);
  if (at < 0 || !daemons[at].left) return 0;
  daemons[at].left = 0;
  return 1;
}
