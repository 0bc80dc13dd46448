// Two megabytes of memory, and one restartable sequence (rseq(2)) after the other. Notes in /tmp/sequences how many were cut off, as they have to be when
// the thread was elsewhere in between, and how many went on although the kernel had forgotten them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/rseq.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { bytes = 2 << 20 };
enum outcome { done, cut_off, forgotten };

/** Some milliseconds that look all the time whether the sequence is still noted. */
static enum outcome run(struct rseq *area) {
  __asm__ goto(
      ".pushsection sequences, \"aw\"\n"
      ".balign 32\n"
      "1: .long 0, 0\n"
      ".quad 2f, 3f - 2f, 4f\n"
      ".popsection\n"
      "leaq 1b(%%rip), %%rax\n"
      "movq %%rax, %c[noted](%[area])\n"
      "2: movl $4000000, %%ecx\n"
      "5: cmpq $0, %c[noted](%[area])\n"
      "je %l[is_forgotten]\n"
      "decl %%ecx\n"
      "jnz 5b\n"
      "3:\n"
      ".pushsection .text.unlikely\n"
      ".byte 0x0f, 0xb9, 0x3d\n"
      ".long 0x53053053\n"
      "4: jmp %l[is_cut_off]\n"
      ".popsection\n"
      :
      : [area] "r"(area), [noted] "i"(offsetof(struct rseq, rseq_cs))
      : "rax", "rcx", "cc", "memory"
      : is_cut_off, is_forgotten);
  return done;
is_cut_off:
  return cut_off;
is_forgotten:
  return forgotten;
}

extern const ptrdiff_t __rseq_offset;

int main(void) {
  struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
  int notes = open("/tmp/sequences", O_CREAT | O_RDWR, 0644), count[] = {0, 0, 0};
  mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (notes < 0 || (int)area->cpu_id < 0) return perror("sequences"), 1;
  for (;;) {
    char line[48];
    count[run(area)]++;
    int length = snprintf(line, sizeof line, "%10d %10d\n", count[cut_off], count[forgotten]);
    if (pwrite(notes, line, (size_t)length, 0) != length) return perror("/tmp/sequences"), 1;
  }
}
