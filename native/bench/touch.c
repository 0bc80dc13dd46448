// Memory that this machine really has: in a virtual machine whose hypervisor takes free pages back, the first touch of each costs a fault
// there, up to ten times what the guest's own takes. Pages that were in use a moment ago are the first that the kernel gives out again.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench-tool.h"

void touchMemory(size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  volatile char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("map memory");
  for (size_t at = 0; at < size; at += page) memory[at] = 1;
  munmap((void*)memory, size);
}

int touchCommand(int count, char** arguments) {
  if (count < 1 || atoll(arguments[0]) < 1) return 2;
  touchMemory((size_t)atoll(arguments[0]) << 20);
  return 0;
}
