// The first instruction of a container, made visible.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bench-tool.h"

int stampCommand(int count, char** arguments) {
  char text[32];
  int length = snprintf(text, sizeof text, "%lld\n", nowNs());
  if (count < 3) return 2;
  int file = open(arguments[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0 || write(file, text, (size_t)length) != length) fail("write the moment");
  close(file);
  execv(arguments[1], arguments + 2);
  fail("run the init");
  return 1;
}
