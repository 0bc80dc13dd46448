// See daemons.h. usernsd is asked to exit, the only thing that it is asked without waiting for its answer (UNS_ASYNC in criu/namespaces.c); the
// other one is killed.

#define _GNU_SOURCE
#include "daemons.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"
#include "image_reader.h"
#include "next.h"

enum { mostDaemons = 4 };

static struct {
  pid_t pid;
  /** The signal that CRIU killed it with. */
  int killed;
  /** CRIU has waited for it: now it is to be ended and reaped. */
  int left;
} daemons[mostDaemons];
static int daemonCount;
/** Who expects daemons. */
static pid_t parent;
/** In a daemon: itself. */
static pid_t self;
/** The next daemon, which would be for threads beside the first one of their process, is not needed. */
static int eachHasOneThread;

/** At the end of whoever inherited this. */
static void atExit(int status, void* nothing) {
  (void)nothing;
  const pid_t pid = getpid();
  if (pid == self && status == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) pause();
  if (pid != parent) return;
  int (*realKill)(pid_t, int) = NEXT("kill");
  for (int i = 0; i < daemonCount; i++) {
    if (!daemons[i].left) continue;
    realKill(daemons[i].pid, SIGKILL);
    waitpid(daemons[i].pid, NULL, 0);
  }
}

void expectDaemons(void) {
  if (on_exit(atExit, NULL) == 0) parent = getpid();
}

/** images/pstree.proto: a message for each process. */
void noteThreads(int folder, const char* path) {
  enum { threadsField = 5 };
  struct image image, message, bytes;
  unsigned field;
  uint64_t value;
  if (parent == 0 || strcmp(path, "pstree.img") != 0 || openImage(folder, path, &image) != 0) return;
  int more, single = 1;
  while ((more = nextMessage(&image, &message)) == 1) {
    int threads = 0, fields;
    while ((fields = nextField(&message, &field, &value, &bytes)) == 1) threads += field == threadsField;
    if (fields != 0 || threads > 1) single = 0;
  }
  closeImage(&image);
  eachHasOneThread = more == 0 && single;
}

pid_t forkDaemon(pid_t (*real)(void)) {
  const int expected = parent != 0 && getpid() == parent && daemonCount < mostDaemons;
  if (expected && eachHasOneThread) {
    eachHasOneThread = 0;
    return nobody;
  }
  const pid_t pid = real();
  if (pid == 0 && expected) self = getpid();
  if (pid > 0 && expected) daemons[daemonCount++].pid = pid;
  return pid;
}

static int findDaemon(pid_t pid) {
  for (int i = 0; i < daemonCount && getpid() == parent; i++)
    if (daemons[i].pid == pid) return i;
  return -1;
}

int kill(pid_t pid, int number) {
  int (*real)(pid_t, int) = NEXT("kill");
  if (pid == nobody) return 0;
  int result = real(pid, number);
  int at = result == 0 && (number == SIGTERM || number == SIGKILL) ? findDaemon(pid) : -1;
  if (at >= 0) daemons[at].killed = number;
  return result;
}

int needsNoWait(pid_t pid, int* status) {
  int at = findDaemon(pid);
  if (at < 0 || daemons[at].left) return 0;
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
