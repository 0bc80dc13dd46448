// A command's time without Node's own fork in it. What it prints goes to a file: what it leaves running would hold a pipe open.
// Its input is a pipe that has ended: crun gives its input to the container's user, and /dev/null is the whole machine's.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-tool.h"

extern char** environ;

int spawnCommand(int count, char** arguments) {
  if (count < 2) return 2;
  int input[2];
  if (pipe2(input, O_CLOEXEC) != 0) fail("pipe");
  close(input[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input[0], 0);
  posix_spawn_file_actions_addopen(&files, 1, arguments[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  pid_t child;
  int status;
  const long long before = nowNs();
  if (posix_spawnp(&child, arguments[1], &files, NULL, arguments + 1, environ) != 0) fail("spawn");
  if (waitpid(child, &status, 0) != child) fail("wait");
  printf("%lld %lld %d\n", before, nowNs(), WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
