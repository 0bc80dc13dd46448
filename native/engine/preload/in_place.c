// See in_place.h. A child changes the frame of the function that has forked, and those below: they are kept, and put back by a function with a stack
// of its own. All else that it changes it would have changed in its copy: files of proc that are kept open, which hold for the parent as well.

#define _GNU_SOURCE
#include "in_place.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "next.h"

enum { mostChildren = 8, frameBytes = 4096, belowFrame = 512, stackBytes = 64 << 10 };

/** Where the kernel has put the first frame of all. */
extern void* __libc_stack_end;

static struct {
  const char* name;
  int type, own, left;
} namespaces[] = {{"/proc/self/ns/uts", CLONE_NEWUTS, -1, 0},
                  {"/proc/self/ns/ipc", CLONE_NEWIPC, -1, 0},
                  {"/proc/self/ns/net", CLONE_NEWNET, -1, 0},
                  {"/proc/self/ns/time", CLONE_NEWTIME, -1, 0}};
enum { namespaceCount = sizeof namespaces / sizeof *namespaces };

static int isPrepared, namespacesFollow, isChild;
static int ended[mostChildren], endedCount;
static char kept[frameBytes];
static char* keptFrom;
static size_t keptBytes;
static jmp_buf parent;
static char stack[stackBytes];

void prepareInPlace(void) {
  isPrepared = 1;
  for (int i = 0; i < namespaceCount; i++) {
    namespaces[i].own = open(namespaces[i].name, O_RDONLY | O_CLOEXEC);
    isPrepared = isPrepared && namespaces[i].own >= 0;
  }
}

void noteWritten(const char* path, int writes) {
  // The tree of processes comes before them, the cgroups after.
  if (writes && strcmp(path, "pstree.img") == 0) namespacesFollow = 1;
  else if (writes && strcmp(path, "cgroup.img") == 0) namespacesFollow = 0;
}

pid_t forkInPlace(pid_t nobody) {
  if (!isPrepared || !namespacesFollow || isChild || endedCount == mostChildren) return -1;
  keptFrom = (char*)__builtin_frame_address(0) - belowFrame;
  const size_t whole = (size_t)((char*)__libc_stack_end - keptFrom);
  keptBytes = whole < frameBytes ? whole : frameBytes;
  memcpy(kept, keptFrom, keptBytes);
  if (_setjmp(parent) != 0) return nobody;
  isChild = 1;
  return 0;
}

pid_t waitInPlace(pid_t nobody, int* status) {
  if (endedCount == 0 || isChild) return 0;
  if (status) *status = ended[--endedCount];
  else endedCount--;
  return nobody;
}

int setns(int fd, int type) {
  int (*real)(int, int) = NEXT("setns");
  const int result = real(fd, type);
  for (int i = 0; isChild && result == 0 && i < namespaceCount; i++) namespaces[i].left |= namespaces[i].type == type;
  return result;
}

static void becomeParent(void) {
  memcpy(keptFrom, kept, keptBytes);
  _longjmp(parent, 1);
}

void exit(int status) {
  void (*real)(int) = NEXT("exit");
  int (*join)(int, int) = NEXT("setns");
  if (!isChild) {
    real(status);
    __builtin_unreachable();
  }
  for (int i = 0; i < namespaceCount; i++) {
    // In a foreign one CRIU can only end: the engine lets go of the container.
    if (namespaces[i].left && join(namespaces[i].own, namespaces[i].type) != 0) _exit(1);
    namespaces[i].left = 0;
  }
  ended[endedCount++] = (status & 0xff) << 8;
  isChild = 0;
  static ucontext_t way;
  getcontext(&way);
  way.uc_stack.ss_sp = stack;
  way.uc_stack.ss_size = sizeof stack;
  way.uc_link = NULL;
  makecontext(&way, becomeParent, 0);
  setcontext(&way);
  __builtin_trap();
}
