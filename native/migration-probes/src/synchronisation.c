// What the kernel keeps for user space locks, restartable sequences, and system call filters.

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>

#include "probe.h"

PROBE(robust, "futex-robust", "a robust mutex whose owner dies after the move");
PROBE(waiting, "futex-wait", "a process that waits in a shared condition variable");
PROBE(sequences, "rseq", "restartable sequences stay registered");
PROBE(inside, "rseq-inside", "a thread in the middle of a restartable sequence begins it anew");
PROBE(filter, "seccomp", "a seccomp filter still refuses");

static struct shared {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  int wanted, seen, owned, finish;
} *shared;
static pid_t owner;

static void make_shared(int robustness) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robustness) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->mutex, &attributes);
  pthread_condattr_t shared_condition;
  pthread_condattr_init(&shared_condition);
  pthread_condattr_setpshared(&shared_condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&shared->condition, &shared_condition);
}

static void own(void *unused) {
  (void)unused;
  pthread_mutex_lock(&shared->mutex);
  __atomic_store_n(&shared->owned, 1, __ATOMIC_SEQ_CST);
  for (;;) pause();
}

static verdict let_own(void) {
  shared->owned = 0;
  owner = spawn(own, NULL);
  for (long long until = now_ms() + 5000; now_ms() < until; pause_ms(5))
    if (__atomic_load_n(&shared->owned, __ATOMIC_SEQ_CST)) return NULL;
  return bad("the mutex could not be taken");
}

static verdict robust_setup(void) {
  make_shared(1);
  return let_own();
}

static verdict robust_check(void) {
  CHECK(pthread_mutex_trylock(&shared->mutex) == EBUSY, "the mutex is free");
  kill(owner, SIGKILL);
  waitpid(owner, NULL, 0);
  int got = pthread_mutex_trylock(&shared->mutex);
  CHECK(got == EOWNERDEAD, "the owner's death is not noticed: %s", strerror(got));
  pthread_mutex_consistent(&shared->mutex);
  pthread_mutex_unlock(&shared->mutex);
  return let_own();
}

static void wait_for_more(void *unused) {
  (void)unused;
  pthread_mutex_lock(&shared->mutex);
  for (;;) {
    while (shared->seen == shared->wanted) pthread_cond_wait(&shared->condition, &shared->mutex);
    shared->seen = shared->wanted;
  }
}

static verdict waiting_setup(void) {
  make_shared(0);
  MUST(spawn(wait_for_more, NULL));
  return NULL;
}

static verdict waiting_check(void) {
  pthread_mutex_lock(&shared->mutex);
  int wanted = ++shared->wanted;
  pthread_cond_signal(&shared->condition);
  pthread_mutex_unlock(&shared->mutex);
  for (long long until = now_ms() + 5000; now_ms() < until; pause_ms(2)) {
    pthread_mutex_lock(&shared->mutex);
    int seen = shared->seen;
    pthread_mutex_unlock(&shared->mutex);
    if (seen == wanted) return NULL;
  }
  return bad("the waiter is not woken");
}

// The C library registers one per thread; a second registration of the same address is refused as busy.
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

static uint32_t cpu_of_sequence(void) {
  char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
  return *(volatile uint32_t *)(area + 4);
}

static verdict sequences_setup(void) {
  if (!&__rseq_offset || !&__rseq_size || __rseq_size == 0) return absent("the C library has registered none");
  return NULL;
}

static verdict sequences_check(void) {
  unsigned cpu = 0;
  for (int at = 0; at < 100; at++) {
    uint32_t before = cpu_of_sequence();
    MUST((int)syscall(SYS_getcpu, &cpu, NULL, NULL));
    if (before == cpu && cpu_of_sequence() == cpu) return NULL;
  }
  return bad("the kernel does not keep the CPU number: %u, not %u", cpu_of_sequence(), cpu);
}

#if defined(__x86_64__)
static volatile struct { unsigned begun, forgotten; } *turns;
static pid_t repeater;

// Goes on until it is cut off, and looks all the time whether the kernel still knows of it; true: it does not.
static int in_sequence(volatile char *area) {
  __asm__ goto(
      ".pushsection rseq_descriptions, \"aw\"\n .balign 32\n 1: .long 0, 0\n .quad 2f, 3f - 2f, 4f\n .popsection\n"
      "leaq 1b(%%rip), %%rax\n movq %%rax, 8(%0)\n"
      "2: cmpq $0, 8(%0)\n jne 2b\n"
      "3:\n"
      ".pushsection .text.unlikely\n .byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n 4: jmp %l[cut_off]\n .popsection\n"
      : : "r"(area) : "rax", "cc", "memory" : cut_off);
  return 1;
cut_off:
  return 0;
}

static void do_nothing(int number) { (void)number; }

static void repeat(void *unused) {
  (void)unused;
  // As much as goes ahead, for which it is stopped for a moment.
  memset(malloc(4 << 20), 1, 4 << 20);
  for (;; turns->begun++) turns->forgotten += in_sequence((char *)__builtin_thread_pointer() + __rseq_offset);
}

static verdict inside_setup(void) {
  TRY(sequences_setup());
  turns = mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  signal(SIGUSR1, do_nothing);
  MUST(repeater = spawn(repeat, NULL));
  return NULL;
}

static verdict inside_check(void) {
  const unsigned before = turns->begun;
  MUST(kill(repeater, SIGUSR1));
  for (long long until = now_ms() + 5000; turns->begun == before && now_ms() < until;) pause_ms(1);
  CHECK(turns->begun != before, "it is never cut off");
  CHECK(turns->forgotten == 0, "it went on %u times as if it had not been cut off", turns->forgotten);
  return NULL;
}
#else
static verdict inside_setup(void) { return absent("not on this architecture"); }
static verdict inside_check(void) { return NULL; }
#endif

static verdict filter_setup(void) {
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sethostname, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  return NULL;
}

static verdict filter_check(void) {
  CHECK(syscall(SYS_sethostname, "x", 1) < 0 && errno == EDOM, "the filter is gone: %s", strerror(errno));
  return NULL;
}
