// The floor: what the kernel alone takes for a container. Its own cgroup in every hierarchy, clone3 with the same seven namespaces,
// id maps, pivot_root, /proc, on request a veth pair on the bridge; then exec. No overlay, no other mounts, no limits, no record.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench-tool.h"

enum { mostHierarchies = 16 };

struct Plan {
  const char *rootfs, *uid, *veth, *address;
  int bridge;
  int unified, taskFiles[mostHierarchies], tasks;
  char** init;
};

static void writeFile(const char* path, int flags, const char* text) {
  int file = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
  if (file < 0 || write(file, text, strlen(text)) < 0) fail(path);
  close(file);
}

/** DIRECTORY:DIRECTORY…, the container's own in each hierarchy; that with cgroup.kill or cgroup.type is the unified one. */
static void makeCgroups(struct Plan* plan, char* directories) {
  plan->unified = -1;
  for (char* directory = strtok(directories, ":"); directory && plan->tasks < mostHierarchies; directory = strtok(NULL, ":")) {
    char path[4096];
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) fail(directory);
    snprintf(path, sizeof path, "%s/cgroup.controllers", directory);
    if (access(path, F_OK) == 0) {
      plan->unified = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      continue;
    }
    snprintf(path, sizeof path, "%s/tasks", directory);
    if ((plan->taskFiles[plan->tasks++] = open(path, O_WRONLY | O_CLOEXEC)) < 0) fail(path);
  }
}

static void runChild(const struct Plan* plan, int sync) {
  char byte;
  if (read(sync, &byte, 1) != 1) _exit(1);
  for (int i = 0; i < plan->tasks; ++i)
    if (write(plan->taskFiles[i], "0", 1) != 1) fail("join a cgroup");
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0 || unshare(CLONE_NEWCGROUP) != 0 || setsid() < 0) fail("become root inside");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("make mounts private");
  if (mount(plan->rootfs, plan->rootfs, NULL, MS_BIND, NULL) != 0 || chdir(plan->rootfs) != 0) fail("bind the root");
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) fail("mount /proc");
  if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) fail("change the root");
  if (sethostname("floor", 5) != 0) fail("set the host name");
  bringUp("lo", NULL);
  if (plan->veth) bringUp("eth0", plan->address);
  int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0) nothing = open("/floor.log", O_RDWR | O_CREAT, 0600);
  for (int i = 0; i < 3; ++i) dup2(nothing, i);
  syscall(SYS_close_range, 3, ~0U, 0);
  execv(plan->init[0], plan->init);
  _exit(127);
}

// floor CGROUPS ROOTFS UID PID_FILE VETH|- ADDRESS|- BRIDGE|- INIT…
int floorCommand(int count, char** arguments) {
  if (count < 8) return 2;
  struct Plan plan = {.rootfs = arguments[1], .uid = arguments[2], .init = arguments + 7};
  if (strcmp(arguments[4], "-") != 0) {
    plan.veth = arguments[4];
    plan.address = arguments[5];
    plan.bridge = (int)if_nametoindex(arguments[6]);
  }
  int pair[2];
  const long long before = nowNs();
  makeCgroups(&plan, arguments[0]);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("make a socket pair");
  struct clone_args clone = {.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, .exit_signal = SIGCHLD};
  if (plan.unified >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup = (uint64_t)plan.unified;
  }
  long pid = syscall(SYS_clone3, &clone, sizeof clone);
  if (pid < 0) fail("clone3");
  if (pid == 0) {
    close(pair[0]);
    runChild(&plan, pair[1]);
  }
  close(pair[1]);
  char path[64], map[64];
  snprintf(map, sizeof map, "0 %s 65536", plan.uid);
  for (int i = 0; i < 2; ++i) {
    snprintf(path, sizeof path, "/proc/%ld/%s_map", pid, i == 0 ? "uid" : "gid");
    writeFile(path, 0, map);
  }
  snprintf(map, sizeof map, "%ld", pid);
  writeFile(arguments[3], O_CREAT | O_TRUNC, map);
  if (plan.veth) makeVeth(plan.veth, plan.bridge, (int)pid);
  if (write(pair[0], "", 1) != 1) fail("let the child go");
  char byte;
  (void)!read(pair[0], &byte, 1);  // End of file: it has run its init.
  printf("%lld %ld\n", before, pid);
  return 0;
}
