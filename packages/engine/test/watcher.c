// Watches the files, directories and symbolic links that it is given by inotify, and appends the number of each watch that has an event, one a line,
// to /tmp/events. Writes its pid to /tmp/watcher.pid once it watches.
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

static void append(const char *path, int number) {
  FILE *file = fopen(path, "a");
  if (file == NULL) return;
  fprintf(file, "%d\n", number);
  fclose(file);
}

int main(int count, char **paths) {
  int inotify = inotify_init1(0);
  for (int i = 1; i < count; i++)
    if (inotify_add_watch(inotify, paths[i], IN_MODIFY | IN_CREATE | IN_ATTRIB | IN_DONT_FOLLOW) != i) return 1;
  append("/tmp/watcher.pid", getpid());
  for (;;) {
    char buffer[4096] __attribute__((aligned(8)));
    ssize_t length = read(inotify, buffer, sizeof buffer);
    if (length <= 0) return 2;
    for (char *at = buffer; at < buffer + length;) {
      struct inotify_event *event = (void *)at;
      append("/tmp/events", event->wd);
      at += sizeof *event + event->len;
    }
  }
}
