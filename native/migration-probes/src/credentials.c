// What belongs to a process besides memory and files: priority, limits, capabilities, flags, keys.

#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>

#include "probe.h"

PROBE(priority, "nice", "nice value and scheduling policy");
PROBE(affinity, "affinity", "CPU affinity of a process and of a thread");
PROBE(limits, "rlimits", "resource limits, umask");
PROBE(capabilities, "capabilities", "capability sets, uid and gid of an unprivileged service");
PROBE(flags, "process-flags", "dumpable, no-new-privileges, keep-caps, death signal, name");
PROBE(keyring, "keyring", "a key in the session keyring");

static verdict priority_setup(void) {
  struct sched_param zero = {0};
  MUST(setpriority(PRIO_PROCESS, 0, 7));
  MUST(sched_setscheduler(0, SCHED_BATCH, &zero));
  return NULL;
}

static verdict priority_check(void) {
  CHECK(getpriority(PRIO_PROCESS, 0) == 7, "nice is %d", getpriority(PRIO_PROCESS, 0));
  CHECK(sched_getscheduler(0) == SCHED_BATCH, "the policy is %d", sched_getscheduler(0));
  return NULL;
}

static pid_t pinned_thread;

static void *stand_still(void *unused) {
  __atomic_store_n(&pinned_thread, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
  for (;;) pause();
  return unused;
}

static verdict affinity_setup(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, stand_still, NULL) == 0, "pthread_create");
  while (!__atomic_load_n(&pinned_thread, __ATOMIC_SEQ_CST)) pause_ms(1);
  if (sched_setaffinity(pinned_thread, sizeof one, &one) < 0) return absent("sched_setaffinity: %s", strerror(errno));
  MUST(sched_setaffinity(0, sizeof one, &one));
  return NULL;
}

static verdict affinity_check(void) {
  cpu_set_t now;
  MUST(sched_getaffinity(0, sizeof now, &now));
  CHECK(CPU_COUNT(&now) == 1 && CPU_ISSET(0, &now), "the process may run on %d CPUs", CPU_COUNT(&now));
  MUST(sched_getaffinity(pinned_thread, sizeof now, &now));
  CHECK(CPU_COUNT(&now) == 1 && CPU_ISSET(0, &now), "the thread may run on %d CPUs", CPU_COUNT(&now));
  return NULL;
}

static verdict limits_setup(void) {
  struct rlimit files = {200, 400}, core = {0, 0};
  MUST(setrlimit(RLIMIT_NOFILE, &files));
  MUST(setrlimit(RLIMIT_CORE, &core));
  umask(027);
  return NULL;
}

static verdict limits_check(void) {
  struct rlimit files, core;
  MUST(getrlimit(RLIMIT_NOFILE, &files));
  MUST(getrlimit(RLIMIT_CORE, &core));
  CHECK(files.rlim_cur == 200 && files.rlim_max == 400 && core.rlim_max == 0, "limits are %lu, %lu, %lu", (unsigned long)files.rlim_cur, (unsigned long)files.rlim_max, (unsigned long)core.rlim_max);
  mode_t mask = umask(027);
  CHECK(mask == 027, "umask is %o", mask);
  return NULL;
}

static struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

static verdict capabilities_setup(void) {
  MUST(prctl(PR_SET_KEEPCAPS, 1));
  MUST(prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT));
  gid_t groups[] = {33, 44};
  MUST((int)syscall(SYS_setgroups, 2, groups));
  MUST((int)syscall(SYS_setresgid, 1234, 1234, 1234));
  MUST((int)syscall(SYS_setresuid, 1234, 1234, 1234));
  struct __user_cap_data_struct sets[2] = {{.effective = 1 << CAP_NET_BIND_SERVICE, .permitted = 1 << CAP_NET_BIND_SERVICE | 1 << CAP_KILL, .inheritable = 1 << CAP_KILL}};
  MUST((int)syscall(SYS_capset, &header, sets));
  MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
  return NULL;
}

static verdict capabilities_check(void) {
  struct __user_cap_data_struct sets[2] = {{0}};
  MUST((int)syscall(SYS_capget, &header, sets));
  CHECK(sets[0].effective == 1 << CAP_NET_BIND_SERVICE && sets[0].permitted == (1 << CAP_NET_BIND_SERVICE | 1 << CAP_KILL) && sets[0].inheritable == 1 << CAP_KILL, "sets are %x %x %x", sets[0].effective, sets[0].permitted, sets[0].inheritable);
  CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_CHROOT) == 0, "the bounding set has grown");
  CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 1, "the ambient set is empty");
  gid_t groups[4];
  CHECK(getuid() == 1234 && getegid() == 1234 && getgroups(4, groups) == 2 && groups[0] == 33, "uid %d, gid %d", getuid(), getegid());
  return NULL;
}

static verdict flags_setup(void) {
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  MUST(prctl(PR_SET_PDEATHSIG, SIGUSR2));
  MUST(prctl(PR_SET_DUMPABLE, 0));
  MUST(prctl(PR_SET_NAME, "flagged"));
  return NULL;
}

static verdict flags_check(void) {
  int death = 0;
  char name[16];
  CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "privileges can be gained again");
  MUST(prctl(PR_GET_PDEATHSIG, &death));
  CHECK(death == SIGUSR2, "the death signal is %d", death);
  CHECK(prctl(PR_GET_DUMPABLE) == 0, "dumpable is %d", prctl(PR_GET_DUMPABLE));
  MUST(prctl(PR_GET_NAME, name));
  CHECK(!strcmp(name, "flagged"), "the name is %s", name);
  return NULL;
}

enum { join_session = 1, describe = 6, session_ring = -3 };
static long key;

static verdict keyring_setup(void) {
  if (syscall(SYS_keyctl, join_session, "probe") < 0) return absent("keyctl: %s", strerror(errno));
  key = syscall(SYS_add_key, "user", "probe", "secret", 6, session_ring);
  return key < 0 ? absent("add_key: %s", strerror(errno)) : NULL;
}

static verdict keyring_check(void) {
  char text[200];
  return syscall(SYS_keyctl, describe, key, text, sizeof text) < 0 ? bad("the key is gone: %s", strerror(errno)) : NULL;
}
