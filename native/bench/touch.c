// Memory that this machine really has: in a virtual machine whose hypervisor takes free pages back, the first touch of each costs a fault
// there, five times what the guest's own takes. Pages that were in use a moment ago are the first that the kernel gives out again.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench-tool.h"

int touchCommand(int count, char** arguments) {
  if (count < 1 || atoll(arguments[0]) < 1) return 2;
  const size_t size = (size_t)atoll(arguments[0]) << 20, page = (size_t)sysconf(_SC_PAGESIZE);
  volatile char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("map memory");
  for (size_t at = 0; at < size; at += page) memory[at] = 1;
  return 0;
}
