// inotify and fanotify: marks on inodes.

#include <sys/fanotify.h>
#include <sys/inotify.h>

#include "probe.h"

PROBE(inotify, "inotify", "inotify watches on a file and a directory");
PROBE(fanotify, "fanotify", "fanotify mark on a directory (file ids)");

static int fd, file_watch, directory_watch;

static verdict touch(const char *path) {
  int file = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
  MUST(file);
  TRY(put(file, "x", 1));
  close(file);
  return NULL;
}

static verdict inotify_setup(void) {
  TRY(touch(place("file")));
  mkdir(place("directory"), 0755);
  MUST(fd = inotify_init1(IN_NONBLOCK));
  MUST(file_watch = inotify_add_watch(fd, place("file"), IN_MODIFY));
  MUST(directory_watch = inotify_add_watch(fd, place("directory"), IN_CREATE | IN_DELETE));
  return NULL;
}

static verdict wait_for(int watch, uint32_t mask) {
  char buffer[4096] __attribute__((aligned(8)));
  long long until = now_ms() + 5000;
  while (readable(fd, (int)(until - now_ms() > 0 ? until - now_ms() : 0))) {
    ssize_t length = read(fd, buffer, sizeof buffer);
    for (char *at = buffer; at < buffer + length;) {
      struct inotify_event *event = (void *)at;
      if (event->wd == watch && event->mask & mask) return NULL;
      at += sizeof *event + event->len;
    }
  }
  return bad("no event of watch %d", watch);
}

static verdict inotify_check(void) {
  TRY(touch(place("file")));
  TRY(wait_for(file_watch, IN_MODIFY));
  TRY(touch(place("directory/new")));
  TRY(wait_for(directory_watch, IN_CREATE));
  MUST(unlink(place("directory/new")));
  return wait_for(directory_watch, IN_DELETE);
}

static verdict fanotify_setup(void) {
  fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY);
  if (fd < 0) return absent("fanotify_init: %s", strerror(errno));
  if (fanotify_mark(fd, FAN_MARK_ADD, FAN_CREATE | FAN_ONDIR, AT_FDCWD, getenv("PROBE_DIRECTORY")) < 0) return absent("fanotify_mark: %s", strerror(errno));
  return NULL;
}

static verdict fanotify_check(void) {
  char buffer[4096] __attribute__((aligned(8)));
  unlink(place("new"));
  while (readable(fd, 0) && read(fd, buffer, sizeof buffer) > 0) {
  }
  TRY(touch(place("new")));
  return readable(fd, 5000) ? NULL : bad("no event");
}
