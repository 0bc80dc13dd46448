// The 32-bit program of compat.c, without a library: answers every byte with three counts. One is in its memory, one where the segment of its thread
// is, and one is of signals. It calls the system as 32-bit C libraries do, through the vDSO.

enum { at_sysinfo = 32, read_call = 3, write_call = 4, exit_call = 1, sigaction_call = 174, set_thread_area_call = 243 };
enum { user_signal = 10, with_info = 4, restart = 0x10000000, restorer = 0x04000000 };

static long (*vdso)(void);
static volatile struct { unsigned asked, own, signals; } counts;
static volatile unsigned own;

static long call(long number, long first, long second, long third, long fourth) {
  long result;
  __asm__ volatile("call *%1" : "=a"(result) : "m"(vdso), "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth) : "memory");
  return result;
}

static void on_signal(int number) {
  (void)number;
  counts.signals++;
}

__asm__("back: movl $173, %eax\n int $0x80\n");
void back(void);

/** Of ldt.h: 32 bits, limit in pages, usable. */
static struct { unsigned entry, base, limit, flags; } segment = {-1u, 0, 0xfffff, 0x51};
/** As the kernel has it, not as the C library. */
static const struct { void (*handler)(int); unsigned long flags; void (*restorer)(void); unsigned mask[2]; } action = {
    on_signal, with_info | restart | restorer, back, {0, 0}};

__attribute__((used)) static void run(const long *stack) {
  const long *word = stack + 1 + stack[0] + 1;
  while (*word++) continue;
  for (; word[0]; word += 2)
    if (word[0] == at_sysinfo) vdso = (long (*)(void))word[1];
  segment.base = (unsigned)&own;
  call(set_thread_area_call, (long)&segment, 0, 0, 0);
  __asm__ volatile("movw %w0, %%gs" : : "r"(segment.entry * 8 + 3));
  call(sigaction_call, user_signal, (long)&action, 0, 8);
  for (char byte; call(read_call, 0, (long)&byte, 1, 0) == 1;) {
    counts.asked++;
    __asm__ volatile("incl %%gs:0\n movl %%gs:0, %0" : "=r"(counts.own) : : "memory", "cc");
    call(write_call, 1, (long)&counts, sizeof counts, 0);
  }
  call(exit_call, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: movl %esp, %eax\n andl $-16, %esp\n subl $12, %esp\n pushl %eax\n call run\n");
