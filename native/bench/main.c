// bench-tool COMMAND …: see bench-tool.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench-tool.h"

int main(int count, char** arguments) {
  const struct {
    const char* name;
    int (*run)(int, char**);
  } commands[] = {{"floor", floorCommand}, {"floors", floorsCommand}, {"stamp", stampCommand}, {"spawn", spawnCommand}, {"answer", answerCommand}, {"touch", touchCommand}};
  for (size_t i = 0; count > 1 && i < sizeof commands / sizeof *commands; ++i)
    if (strcmp(arguments[1], commands[i].name) == 0) return commands[i].run(count - 2, arguments + 2);
  fprintf(stderr, "usage: bench-tool floor|floors|stamp|spawn|answer|touch …\n");
  return 2;
}

long long nowNs(void) {
  struct timespec now;
  // The monotonic clock of a container may be its own (time_namespaces(7)); this one is everybody's.
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

void fail(const char* doing) {
  fprintf(stderr, "bench-tool: %s: %s\n", doing, strerror(errno));
  exit(1);
}
