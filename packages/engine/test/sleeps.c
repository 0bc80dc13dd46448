// Is in uninterruptible sleep from now on, as a vfork is until its child has ended: `sleeps lasting` in one sleep, `sleeps short` in
// one of ten milliseconds after the other. Writes its pid to /tmp/sleeps.pid first.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **words) {
  const int lasting = count > 1 && strcmp(words[1], "lasting") == 0;
  FILE *file = fopen("/tmp/sleeps.pid", "w");
  if (file == NULL) return perror("/tmp/sleeps.pid"), 1;
  fprintf(file, "%d\n", getpid());
  fclose(file);
  for (;;) {
    if (vfork() != 0) continue;
    if (lasting) pause();
    usleep(10000);
    _exit(0);
  }
}
