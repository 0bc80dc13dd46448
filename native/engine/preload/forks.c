// See forks.h. What CRIU forks for, and what is done instead by the process that would have forked. It
// is told of a child that nobody is, and of its end.
//
// - to run tar on a tmpfs, in both directions: quick_tar.h does it here. In a dump tar would be in the container's user namespace; here
//   owners are counted from where that begins (DROVER_CRIU_OWNER, `first:count`).
// - to try whether the container's namespaces belong to its user namespace, which reads its last id map right before. The engine has made them
//   so, and preflight refuses a container with others.
// - to look into each namespace: in_place.h.

#define _GNU_SOURCE
#include "forks.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "covered_mount.h"
#include "daemons.h"
#include "in_place.h"
#include "next.h"
#include "own_mounts.h"
#include "quick_tar.h"
#include "semaphores.h"

/** What was opened last, if it tells what the next fork is for. */
static int archive = -1, archiveIsWritten, idMapWasRead;
/** Where the latest mount is, if it is a tmpfs. */
static char restoredTmpfs[512];
/** The latest descriptor that was made to outlive an exec: the directory that tar shall pack. */
static int bequeathed = -1;
static unsigned firstOwner, owners;
static int statusOfNobody;

void findOwner(void) {
  const char* text = getenv("DROVER_CRIU_OWNER");
  if (text && sscanf(text, "%u:%u", &firstOwner, &owners) != 2) owners = 0;
  unsetenv("DROVER_CRIU_OWNER");
}

void noteOpened(const char* path, int flags, int fd) {
  const int isArchive = strncmp(path, "tmpfs-", 6) == 0 && strstr(path, ".tar.gz");
  archive = isArchive ? fd : -1;
  archiveIsWritten = (flags & O_ACCMODE) != O_RDONLY;
  idMapWasRead = fd >= 0 && strcmp(path, "gid_map") == 0;
  noteWritten(path, archiveIsWritten);
}

int mount(const char* source, const char* target, const char* type, unsigned long flags, const void* data) {
  int (*real)(const char*, const char*, const char*, unsigned long, const void*) = NEXT("mount");
  if (mountCovered(source, target, flags)) return 0;
  if (needsNoMount(source, target, type, flags, data)) return 0;
  int result = real(source, target, type, flags, data);
  // It is made private right after.
  if (type == NULL && strcmp(target, restoredTmpfs) == 0) return result;
  restoredTmpfs[0] = '\0';
  if (result == 0 && type && strcmp(type, "tmpfs") == 0 && strlen(target) < sizeof restoredTmpfs) strcpy(restoredTmpfs, target);
  return result;
}

int fcntl64(int fd, int command, ...) {
  int (*real)(int, int, void*) = NEXT("fcntl64");
  va_list more;
  va_start(more, command);
  void* argument = va_arg(more, void*);
  va_end(more);
  if (command == F_SETFL) {
    int flags = takeSemaphoreMark(fd, (int)(long)argument);
    if (flags < 0) return -1;
    argument = (void*)(long)flags;
  }
  int result = real(fd, command, argument);
  if (command == F_GETFL) return giveSemaphoreMark(fd, result);
  if (command == F_SETFD && result == 0) {
    if (((long)argument & FD_CLOEXEC) == 0) bequeathed = fd;
    else if (fd == bequeathed) bequeathed = -1;
  }
  return result;
}

/** 0: done, and nothing is left to fork for; -1: not this way, and nothing has been done; else it has failed with this status. */
static int doneHere(void) {
  if (idMapWasRead) return owners > 0 ? 0 : -1;
  if (archive < 0) return -1;
  if (archiveIsWritten) return bequeathed >= 0 && owners > 0 ? quickCreate(bequeathed, archive, firstOwner, owners) : -1;
  return restoredTmpfs[0] != '\0' ? quickExtract(archive, restoredTmpfs) : -1;
}

pid_t fork(void) {
  pid_t (*real)(void) = NEXT("fork");
  int status = doneHere();
  archive = -1;
  idMapWasRead = 0;
  if (status < 0) {
    statusOfNobody = 0;
    const pid_t pid = forkInPlace(nobody);
    return pid >= 0 ? pid : forkDaemon(real);
  }
  statusOfNobody = status;
  return nobody;
}

pid_t waitpid(pid_t pid, int* status, int options) {
  pid_t (*real)(pid_t, int*, int) = NEXT("waitpid");
  if (pid == -1 && waitInPlace(nobody, status) == nobody) return nobody;
  if (pid != nobody) {
    if (needsNoWait(pid, status)) return pid;
    pid_t found;
    do found = real(pid, status, options);
    while (pid == -1 && found > 0 && wasLeftBehind(found));
    return found;
  }
  if (status) *status = statusOfNobody << 8;
  return nobody;
}

/** How CRIU waits for those that it traces. */
pid_t wait4(pid_t pid, int* status, int options, struct rusage* use) {
  pid_t (*real)(pid_t, int*, int, struct rusage*) = NEXT("wait4");
  pid_t found;
  do found = real(pid, status, options, use);
  while (pid == -1 && found > 0 && wasLeftBehind(found));
  return found;
}
