// See gate.h; the other end is CriuProcess (criu_client.h). What CRIU does before it first looks at the container (it asks the processor
// for its features, which a virtual machine's host has to answer, and reads its own cgroups) takes 2-3 ms, in which the
// container can still run.

#define _GNU_SOURCE
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int gate = -1;

void findGate(void) {
  const char* number = getenv("DROVER_CRIU_GATE");
  if (!number) return;
  gate = atoi(number);
  unsetenv("DROVER_CRIU_GATE");
  if (fcntl(gate, F_SETFD, FD_CLOEXEC) != 0) gate = -1;
}

void waitAtGate(void) {
  if (gate < 0) return;
  int before = errno;
  char byte = 'r';
  ssize_t count = write(gate, &byte, 1);
  while (count == 1 && (count = read(gate, &byte, 1)) < 0 && errno == EINTR) count = 1;
  // The engine has died or given up: nothing has been done to the container.
  if (count != 1) _exit(1);
  close(gate);
  gate = -1;
  errno = before;
}
