// A 32-bit program, as old distributions are full of: another entry into the kernel, another vDSO, another frame of a signal, and the segment of its
// thread in the kernel's table. It is built apart (compat/program.c) and held here; PROGRAM_32 names it, where it can be built.

#include "probe.h"

PROBE(compat, "program-32", "a 32-bit program, with its thread's segment and its vDSO");

#ifdef PROGRAM_32
__asm__(".section .rodata\n program_32: .incbin \"" PROGRAM_32 "\"\n program_32_end:\n .previous\n");
extern const char program_32[], program_32_end[];
static int questions[2], answers[2];
static pid_t program;
static unsigned asked, signalled;

static void become_program(void *file) {
  dup2(questions[0], 0);
  dup2(answers[1], 1);
  close(questions[1]);
  execl(file, "program-32", NULL);
  _exit(1);
}

static verdict ask(void) {
  struct { unsigned asked, own, signals; } counts;
  TRY(put(questions[1], "?", 1));
  CHECK(readable(answers[0], 5000) && read(answers[0], &counts, sizeof counts) == sizeof counts, "it does not answer");
  asked++;
  CHECK(counts.asked == asked && counts.own == asked && counts.signals == signalled, "asked %u times and signalled %u, it says %u, in its segment %u, signals %u",
        asked, signalled, counts.asked, counts.own, counts.signals);
  return NULL;
}

static verdict compat_setup(void) {
  const char *file = place("program");
  const size_t length = (size_t)(program_32_end - program_32);
  int written;
  MUST(written = open(file, O_CREAT | O_TRUNC | O_WRONLY, 0755));
  TRY(put(written, program_32, length));
  MUST(close(written));
  MUST(pipe(questions));
  MUST(pipe(answers));
  program = spawn(become_program, (void *)(uintptr_t)file);
  verdict first = ask();
  return first && waitpid(program, NULL, WNOHANG) == program ? absent("it does not start here") : first;
}

static verdict compat_check(void) {
  MUST(kill(program, SIGUSR1));
  signalled++;
  return ask();
}
#else
static verdict compat_setup(void) { return absent("it can't be built here"); }
static verdict compat_check(void) { return NULL; }
#endif
