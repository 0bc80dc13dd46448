// Memory that this machine really has: in a virtual machine whose hypervisor takes free pages back, the first touch of each costs a fault
// there, ten times what the guest's own takes. Pages that were in use a moment ago are the first that the kernel gives out again, but to
// the same kind of use only (its migrate types): processes' pages, and those of the kernel's own that can't be moved.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench-tool.h"

/** Of the kernel's own pages, this part of the processes': a hundred containers take some 50 MB. */
enum { kernelDivisor = 4 };
/** What any user may make a pipe hold (fs.pipe-max-size). */
enum { pipeBytes = 1 << 20, mostPipes = 256 };

static void touchProcesses(size_t size, size_t page) {
  volatile char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("map memory");
  for (size_t at = 0; at < size; at += page) memory[at] = 1;
  munmap((void*)memory, size);
}

/** Pages that can't be moved: slabs, stacks, page tables; here what pipes hold. */
static void touchKernel(size_t size, size_t page) {
  int ends[mostPipes][2], pipes = 0;
  char content[page];
  memset(content, 1, page);
  for (size_t at = 0; at < size && pipes < mostPipes; at += pipeBytes, ++pipes) {
    if (pipe2(ends[pipes], O_CLOEXEC | O_NONBLOCK) != 0) fail("make a pipe");
    fcntl(ends[pipes][1], F_SETPIPE_SZ, pipeBytes);
    while (write(ends[pipes][1], content, page) == (ssize_t)page) {
    }
  }
  while (pipes-- > 0)
    for (int end = 0; end < 2; ++end) close(ends[pipes][end]);
}

void touchMemory(size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  touchProcesses(size, page);
  touchKernel(size / kernelDivisor, page);
}

int touchCommand(int count, char** arguments) {
  if (count < 1 || atoll(arguments[0]) < 1) return 2;
  touchMemory((size_t)atoll(arguments[0]) << 20);
  return 0;
}
