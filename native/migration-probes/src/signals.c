// Signals: pending ones of process and thread, with values, handlers with their flags, the alternative stack.

#include "probe.h"

PROBE(pending, "signals-pending", "blocked signals that are pending, with values");
PROBE(handlers, "signal-handlers", "handlers, masks, flags and an alternative stack");

static sigset_t set;
static int rounds;

static verdict send_all(void) {
  rounds++;
  for (int at = 0; at < 3; at++) MUST(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = rounds * 10 + at}));
  MUST((int)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2));
  return NULL;
}

static verdict pending_setup(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 2);
  sigaddset(&set, SIGUSR2);
  MUST(sigprocmask(SIG_BLOCK, &set, NULL));
  return send_all();
}

static verdict pending_check(void) {
  struct timespec none = {0};
  siginfo_t info;
  CHECK(sigtimedwait(&set, &info, &none) == SIGUSR2, "the thread's signal is gone");
  for (int at = 0; at < 3; at++) {
    CHECK(sigtimedwait(&set, &info, &none) == SIGRTMIN + 2, "signal %d of 3 is gone", at);
    CHECK(info.si_value.sival_int == rounds * 10 + at, "signal %d carries %d", at, info.si_value.sival_int);
  }
  CHECK(sigtimedwait(&set, &info, &none) < 0, "there is one too many");
  return send_all();
}

static char stack[65536];
static volatile sig_atomic_t came, on_stack;

static void handle(int number, siginfo_t *info, void *context) {
  (void)context;
  char here;
  on_stack = &here >= stack && &here < stack + sizeof stack;
  came = number + (info->si_pid == getpid() ? 0 : 1000);
}

static verdict handlers_setup(void) {
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  MUST(sigaltstack(&alternative, NULL));
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  sigaddset(&action.sa_mask, SIGHUP);
  MUST(sigaction(SIGUSR1, &action, NULL));
  signal(SIGTERM, SIG_IGN);
  return NULL;
}

static verdict handlers_check(void) {
  struct sigaction now;
  came = on_stack = 0;
  MUST(kill(getpid(), SIGUSR1));
  CHECK(came == SIGUSR1 && on_stack, "handled %d, on its stack: %d", came, on_stack);
  MUST(sigaction(SIGUSR1, NULL, &now));
  CHECK((now.sa_flags & (SA_ONSTACK | SA_RESTART)) == (SA_ONSTACK | SA_RESTART) && sigismember(&now.sa_mask, SIGHUP) == 1, "flags or mask changed");
  MUST(sigaction(SIGTERM, NULL, &now));
  CHECK(now.sa_handler == SIG_IGN, "an ignored signal is not ignored any more");
  return NULL;
}
