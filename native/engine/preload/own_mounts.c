// See own_mounts.h; pivot_root(2), mount_namespaces(7). What is known of CRIU: get_empty_mntns and pre_create_mount_namespaces of criu/mount-v2.c,
// cr_pivot_root and depopulate_roots_yard of criu/mount.c.

#define _GNU_SOURCE
#include "own_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "next.h"

/** The namespaces of mounts in the images; 0: nothing is restored. */
static int namespaces;

/** An exchange of roots: what CRIU has asked for by now. The first one is in the pattern, where it is only told that all was done; the second one in
 * the container's namespace. */
static enum { nothing, mountedOnItself, madePrivate, exchanged, detachedOnce } step;
static int exchanges;
static char oldRoot[PATH_MAX];

/** The namespace that the container gets is that of the pattern. */
static int isShared;

/** Of the process that is asked to restore: what goes when it ends. */
static struct {
  pid_t owner;
  int namespace;
  char directory[PATH_MAX];
} left = {.namespace = -1};

void noteMountImage(const char* path) {
  if (strcmp(path, "inventory.img") == 0) namespaces = 0;
  if (strncmp(path, "mountpoints-", 12) == 0) namespaces++;
}

/** The exchange that CRIU is in is about this directory. */
static int isOldRoot(const char* path) { return path && strcmp(path, oldRoot) == 0; }

int needsNoMount(const char* source, const char* target, const char* type, unsigned long flags, const void* data) {
  if (namespaces != 1 || exchanges > 1 || data) return 0;
  if (step == nothing && flags == MS_BIND && source && !type && target[0] != '/' && strcmp(source, target) == 0 && strlen(target) < sizeof oldRoot) {
    strcpy(oldRoot, target);
    step = mountedOnItself;
    return 1;
  }
  if (step == mountedOnItself && flags == MS_PRIVATE && !source && isOldRoot(target)) {
    step = madePrivate;
    return 1;
  }
  // The host's mounts were made private when they were copied.
  return step == exchanged && flags == (MS_REC | MS_SLAVE) && isOldRoot(target);
}

int pivot_root(const char* root, const char* old) {
  int (*real)(const char*, const char*) = NEXT("pivot_root");
  if (step != madePrivate || !isOldRoot(old)) return real(root, old);
  if (exchanges == 0 || real(root, old) == 0) {
    step = exchanged;
    exchanges++;
    return 0;
  }
  // As it would have been.
  step = nothing;
  exchanges++;
  int (*mountReal)(const char*, const char*, const char*, unsigned long, const void*) = NEXT("mount");
  if (mountReal(old, old, NULL, MS_BIND, NULL) != 0 || mountReal(NULL, old, NULL, MS_PRIVATE, NULL) != 0) return -1;
  return real(root, old);
}

static int isYard(const char* path) {
  static const char* const yards[] = {"/run/.criu.mntns.", "/tmp/.criu.mntns."};
  for (int i = 0; i < 2; i++)
    if (strncmp(path, yards[i], strlen(yards[i])) == 0) return strchr(path + strlen(yards[i]), '/') == NULL;
  return 0;
}

/** At the end of whoever inherited this. */
static void removeDirectory(int status, void* nothing) {
  (void)status, (void)nothing;
  if (getpid() != left.owner) return;
  left.owner = 0;
  rmdir(left.directory);
}

/** The process that restores is in the namespace where all was opened, which nobody else will need: it is kept until the end. */
static int leaves(const char* yard) {
  if (left.owner != 0 || strlen(yard) >= sizeof left.directory) return 0;
  left.namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (left.namespace < 0 || on_exit(removeDirectory, NULL) != 0) return 0;
  strcpy(left.directory, yard);
  left.owner = getpid();
  return 1;
}

int needsNoUnmount(const char* path, int flags) {
  if (namespaces != 1 || flags != MNT_DETACH) return 0;
  if (step == exchanged && isOldRoot(path)) {
    step = detachedOnce;
    return exchanges == 1;
  }
  if (step == detachedOnce && isOldRoot(path)) {
    step = nothing;
    return 1;
  }
  return isYard(path) && leaves(path);
}

int staysForNow(const char* path) {
  if (namespaces == 1 && exchanges == 1 && step == nothing && isOldRoot(path)) return 1;
  return left.owner == getpid() && left.namespace >= 0 && strcmp(path, left.directory) == 0;
}

int unshare(int flags) {
  int (*real)(int) = NEXT("unshare");
  if (namespaces != 1 || exchanges != 1 || flags != CLONE_NEWNS || isShared) return real(flags);
  isShared = 1;
  return 0;
}
