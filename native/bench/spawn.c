// A command's time without Node's own fork in it. What it prints goes to a file: what it leaves running would hold a pipe open.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bench-tool.h"

extern char** environ;

int spawnCommand(int count, char** arguments) {
  if (count < 2) return 2;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
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
