// The floor: what the kernel alone takes for a container. Its own cgroup in every hierarchy, clone3 with the same seven namespaces,
// id maps, pivot_root, /proc, on request a veth pair on the bridge; then exec. No overlay, no other mounts, no limits, no record. `floors` is a
// thousand of them, for the rate and how it falls as they become many: that part of a runtime's fall is the kernel's own.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/** Nothing joins a cgroup of v1's cpuset without these; not everywhere a new one has its parent's. */
static void inheritCpuset(const char* directory) {
  const char* files[] = {"cpuset.cpus", "cpuset.mems"};
  for (int i = 0; i < 2; ++i) {
    char path[4096], text[4096];
    snprintf(path, sizeof path, "%s/../%s", directory, files[i]);
    int parent = open(path, O_RDONLY | O_CLOEXEC);
    if (parent < 0) return;
    const ssize_t length = read(parent, text, sizeof text - 1);
    close(parent);
    if (length <= 0) return;
    text[length] = 0;
    snprintf(path, sizeof path, "%s/%s", directory, files[i]);
    writeFile(path, 0, text);
  }
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
    inheritCpuset(directory);
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

/** Returns when it runs its init; the pid. */
static pid_t startContainer(struct Plan* plan, char* cgroups, const char* pidFile) {
  int pair[2];
  makeCgroups(plan, cgroups);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("make a socket pair");
  struct clone_args clone = {.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, .exit_signal = SIGCHLD};
  if (plan->unified >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup = (uint64_t)plan->unified;
  }
  long pid = syscall(SYS_clone3, &clone, sizeof clone);
  if (pid < 0) fail("clone3");
  if (pid == 0) {
    close(pair[0]);
    runChild(plan, pair[1]);
  }
  close(pair[1]);
  char path[64], map[64];
  snprintf(map, sizeof map, "0 %s 65536", plan->uid);
  for (int i = 0; i < 2; ++i) {
    snprintf(path, sizeof path, "/proc/%ld/%s_map", pid, i == 0 ? "uid" : "gid");
    writeFile(path, 0, map);
  }
  if (pidFile) {
    snprintf(map, sizeof map, "%ld", pid);
    writeFile(pidFile, O_CREAT | O_TRUNC, map);
  }
  if (plan->veth) makeVeth(plan->veth, plan->bridge, (int)pid);
  if (write(pair[0], "", 1) != 1) fail("let the child go");
  char byte;
  (void)!read(pair[0], &byte, 1);  // End of file: it has run its init.
  close(pair[0]);
  if (plan->unified >= 0) close(plan->unified);
  while (plan->tasks > 0) close(plan->taskFiles[--plan->tasks]);
  return (pid_t)pid;
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
  const long long before = nowNs();
  const pid_t pid = startContainer(&plan, arguments[0], arguments[3]);
  printf("%lld %d\n", before, (int)pid);
  return 0;
}

struct Many {
  char *cgroups, *network;
  int first, bridge;
  struct Plan plan;
};

/** The container's own directories: each parent with /floor-<serial>. */
static char* directoriesOf(const struct Many* many, int serial, char* text, size_t size) {
  char parents[4096];
  size_t length = 0;
  snprintf(parents, sizeof parents, "%s", many->cgroups);
  char* rest = NULL;
  for (char* parent = strtok_r(parents, ":", &rest); parent; parent = strtok_r(NULL, ":", &rest))
    length += (size_t)snprintf(text + length, size - length, "%s%s/floor-%d", length > 0 ? ":" : "", parent, serial);
  return text;
}

static void startOne(const struct Many* many, int serial) {
  char directories[8192], veth[32], address[32];
  struct Plan plan = many->plan;
  snprintf(veth, sizeof veth, "fl%d", serial);
  snprintf(address, sizeof address, "%s.%d.%d", many->network, 100 + (serial >> 8), serial & 255);
  plan.veth = veth;
  plan.address = address;
  plan.bridge = many->bridge;
  startContainer(&plan, directoriesOf(many, serial, directories, sizeof directories), NULL);
}

/** As many processes as starts under way; returns when all of them have ended. */
static void startBatch(const struct Many* many, int from, int count, int underWay) {
  pid_t workers[64];
  for (int at = 0; at < underWay; ++at) {
    if ((workers[at] = fork()) < 0) fail("fork");
    if (workers[at] > 0) continue;
    for (int serial = from + at; serial < from + count; serial += underWay) startOne(many, serial);
    _exit(0);
  }
  for (int at = 0; at < underWay; ++at) {
    int status;
    if (waitpid(workers[at], &status, 0) != workers[at] || status != 0) errno = ECHILD, fail("start a batch");
  }
}

/** Kills what is left of them, their adopted parent, and removes their cgroups. */
static void endAll(const struct Many* many, int count) {
  char path[64], directories[8192];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  FILE* children = fopen(path, "re");
  if (!children) fail(path);
  for (int pid; fscanf(children, "%d", &pid) == 1;) kill(pid, SIGKILL);
  fclose(children);
  while (wait(NULL) > 0) {
  }
  for (int serial = many->first; serial < many->first + count; ++serial) {
    char* rest = NULL;
    directoriesOf(many, serial, directories, sizeof directories);
    for (char* directory = strtok_r(directories, ":", &rest); directory; directory = strtok_r(NULL, ":", &rest))
      if (rmdir(directory) != 0) fail(directory);
  }
}

// floors CGROUPS ROOTFS UID NETWORK BRIDGE FIRST COUNT BATCH UNDER_WAY TOUCH_MIB INIT…
int floorsCommand(int count, char** arguments) {
  if (count < 11) return 2;
  const int all = atoi(arguments[6]), batch = atoi(arguments[7]), underWay = atoi(arguments[8]), mebibytes = atoi(arguments[9]);
  if (batch < 1 || underWay < 1 || underWay > 64 || mebibytes < 1) return 2;
  const struct Many many = {.cgroups = arguments[0], .network = arguments[3], .first = atoi(arguments[5]), .bridge = (int)if_nametoindex(arguments[4]),
                            .plan = {.rootfs = arguments[1], .uid = arguments[2], .init = arguments + 10}};
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int at = 0; at < all; at += batch) {
    touchMemory((size_t)mebibytes << 20);
    const long long before = nowNs();
    startBatch(&many, many.first + at, batch, underWay);
    printf("%.3f\n", batch * 1e9 / (double)(nowNs() - before));
    fflush(stdout);
  }
  endAll(&many, all);
  return 0;
}
