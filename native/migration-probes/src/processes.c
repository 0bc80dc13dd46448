// Trees of processes: threads, groups and sessions, zombies, subreapers, deep trees, many short-lived ones, a vfork.

#include <pthread.h>

#include "probe.h"

PROBE(threads, "threads", "twenty threads, with names, own masks and thread-local data");
PROBE(procfiles, "proc-files", "open files of its process and of a thread of it in /proc");
PROBE(groups, "sessions", "a session with two process groups");
PROBE(zombie, "zombie", "a child that has ended and was not waited for");
PROBE(subreaper, "subreaper", "a subreaper gets the orphans");
PROBE(deep, "deep-tree", "forty generations of processes");
PROBE(storm, "fork-storm", "a build: short-lived processes without end");
PROBE(dstate, "uninterruptible", "a parent in vfork, in uninterruptible sleep");
PROBE(traced, "ptrace", "a process that another one traces");

static pid_t child, grandchild;
static int report[2];

// proc-files
static int proc_file, thread_file, thread_folder;

static void *tell_number_and_sleep(void *number) {
  __atomic_store_n((long *)number, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
  for (;;) pause();
  return NULL;
}

static verdict procfiles_setup(void) {
  static long number;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, tell_number_and_sleep, &number) == 0, "no thread");
  while (__atomic_load_n(&number, __ATOMIC_SEQ_CST) == 0) pause_ms(1);
  char path[64];
  MUST(proc_file = open("/proc/self/stat", O_RDONLY));
  snprintf(path, sizeof path, "/proc/self/task/%ld", number);
  MUST(thread_folder = open(path, O_RDONLY | O_DIRECTORY));
  MUST(thread_file = openat(thread_folder, "stat", O_RDONLY));
  return NULL;
}

// The thread's tell of the first thread of its process after a move: by then it has no other.
static verdict procfiles_check(void) {
  const int files[] = {proc_file, thread_file};
  for (int at = 0; at < 2; at++) {
    char text[1024] = "";
    MUST(pread(files[at], text, sizeof text - 1, 0));
    CHECK(atol(text) >= getpid() && strstr(text, ") "), "file %d says %s", at, text);
  }
  const int status = openat(thread_folder, "status", O_RDONLY);
  CHECK(status >= 0, "nothing is in the thread's folder: %s", strerror(errno));
  close(status);
  return NULL;
}

// threads
enum { thread_count = 20 };
static _Thread_local unsigned long own;
static unsigned long counted[thread_count];
static pthread_t threads_started[thread_count];

static void *count(void *argument) {
  long at = (long)argument;
  char name[16];
  snprintf(name, sizeof name, "worker-%ld", at);
  prctl(PR_SET_NAME, name);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + (int)at % 10);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  own = (unsigned long)at * 1000000;
  for (;; pause_ms(10)) {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    char is[16];
    prctl(PR_GET_NAME, is);
    own++;
    if (sigismember(&now, SIGRTMIN + (int)at % 10) && !strcmp(is, name)) __atomic_store_n(&counted[at], own, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

static verdict threads_setup(void) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  for (long at = 0; at < thread_count; at++)
    CHECK(pthread_create(&threads_started[at], &small, count, (void *)at) == 0, "thread %ld", at);
  return NULL;
}

static verdict threads_check(void) {
  for (int at = 0; at < thread_count; at++) {
    unsigned long before = __atomic_load_n(&counted[at], __ATOMIC_SEQ_CST), now = before;
    for (long long until = now_ms() + 5000; now == before && now_ms() < until; pause_ms(2)) now = __atomic_load_n(&counted[at], __ATOMIC_SEQ_CST);
    CHECK(now > before && now / 1000000 == (unsigned long)at, "thread %d has %lu after %lu", at, now, before);
  }
  return NULL;
}

static void sleep_on(void *unused) {
  (void)unused;
  for (;;) pause();
}

static void make_groups(void *unused) {
  (void)unused;
  setsid();
  grandchild = spawn(sleep_on, NULL);
  setpgid(grandchild, grandchild);
  if (write(report[1], &grandchild, sizeof grandchild) < 0) return;
  sleep_on(NULL);
}

static verdict groups_setup(void) {
  MUST(pipe(report));
  child = spawn(make_groups, NULL);
  CHECK(read(report[0], &grandchild, sizeof grandchild) == sizeof grandchild, "no grandchild");
  return NULL;
}

static verdict groups_check(void) {
  CHECK(getsid(child) == child && getpgid(child) == child, "the leader is in session %d, group %d", getsid(child), getpgid(child));
  CHECK(getsid(grandchild) == child && getpgid(grandchild) == grandchild, "the other is in session %d, group %d", getsid(grandchild), getpgid(grandchild));
  return NULL;
}

static void end_with_7(void *unused) {
  (void)unused;
  _exit(7);
}

static verdict zombie_setup(void) {
  child = spawn(end_with_7, NULL);
  siginfo_t info;
  MUST(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  return NULL;
}

static verdict zombie_check(void) {
  int status;
  CHECK(waitpid(child, &status, WNOHANG) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "its end is forgotten");
  return zombie_setup();
}

static void leave_orphan(void *unused) {
  (void)unused;
  pid_t orphan = fork();
  if (orphan == 0) {
    pause_ms(30);
    _exit(9);
  }
  _exit(0);
}

static verdict subreaper_setup(void) {
  MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
  return NULL;
}

static verdict subreaper_check(void) {
  pid_t middle = spawn(leave_orphan, NULL);
  int status;
  MUST(waitpid(middle, &status, 0));
  pid_t orphan = waitpid(-1, &status, 0);
  CHECK(orphan > 0 && WEXITSTATUS(status) == 9, "the orphan went elsewhere");
  return NULL;
}

static void descend(void *left) {
  long generations = (long)left;
  if (generations == 0) {
    char byte;
    while (read(report[0], &byte, 1) == 1)
      if (write(report[1], &byte, 1) != 1) return;
    return;
  }
  spawn(descend, (void *)(generations - 1));
  sleep_on(NULL);
}

static verdict deep_setup(void) {
  int down[2], up[2];
  MUST(pipe(down));
  MUST(pipe(up));
  report[0] = down[0];
  report[1] = up[1];
  MUST(spawn(descend, (void *)39L));
  report[0] = up[0];
  report[1] = down[1];
  return NULL;
}

static verdict deep_check(void) {
  TRY(put(report[1], "x", 1));
  return expect(report[0], "x", 1);
}

static unsigned long *ended;

static void fork_on(void *unused) {
  (void)unused;
  for (unsigned long expected = 1;; expected++) {
    pid_t short_lived = fork();
    if (short_lived == 0) {
      for (volatile int at = 0; at < 200000; at++) {
      }
      _exit((int)(expected % 100));
    }
    int status = 0;
    if (waitpid(short_lived, &status, 0) != short_lived || WEXITSTATUS(status) != (int)(expected % 100)) _exit(1);
    __atomic_store_n(ended, expected, __ATOMIC_SEQ_CST);
    pause_ms(3);
  }
}

static verdict storm_setup(void) {
  ended = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  child = spawn(fork_on, NULL);
  return NULL;
}

static verdict storm_check(void) {
  unsigned long before = __atomic_load_n(ended, __ATOMIC_SEQ_CST);
  for (long long until = now_ms() + 10000; now_ms() < until; pause_ms(5))
    if (__atomic_load_n(ended, __ATOMIC_SEQ_CST) > before + 3) return NULL;
  return bad("no child ends any more after %lu", before);
}

static void hold_in_vfork(void *unused) {
  (void)unused;
  if (vfork() == 0) {
    for (;;) syscall(SYS_pause);
  }
}

static verdict dstate_setup(void) {
  child = spawn(hold_in_vfork, NULL);
  for (long long until = now_ms() + 5000; now_ms() < until; pause_ms(10)) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    close(fd);
    if (length > 0 && strstr(text, ") D ")) return NULL;
  }
  return bad("the parent does not sleep");
}

static verdict dstate_check(void) { return kill(child, 0) == 0 ? NULL : bad("the parent is gone"); }

static void be_traced(void *unused) {
  (void)unused;
  sleep_on(NULL);
}

static verdict traced_setup(void) {
  child = spawn(be_traced, NULL);
  enum { seize = 0x4206 };
  if (syscall(SYS_ptrace, seize, child, 0, 0) < 0) return absent("ptrace: %s", strerror(errno));
  return NULL;
}

static verdict traced_check(void) { return kill(child, 0) == 0 ? NULL : bad("the traced process is gone"); }
