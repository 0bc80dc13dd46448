// File locks of the three kinds: the holder keeps it, and another process does not get it.

#include <sys/file.h>

#include "probe.h"

PROBE(whole, "lock-flock", "flock on a file, held against others");
PROBE(range, "lock-posix", "POSIX record lock, held against others");
PROBE(ofd, "lock-ofd", "open file description lock, held against others");

static int fd;

static verdict open_file(void) {
  MUST(fd = open(place("lock"), O_RDWR | O_CREAT, 0600));
  return NULL;
}

/** Whether a process that has opened the file anew gets the lock. */
static int other_gets(int kind) {
  pid_t child = fork();
  if (child == 0) {
    int again = open(place("lock"), O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    int got = kind == 0 ? flock(again, LOCK_EX | LOCK_NB) : fcntl(again, kind == 1 ? F_SETLK : F_OFD_SETLK, &lock);
    _exit(got == 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static verdict held(int kind) {
  int got = other_gets(kind);
  return got ? bad("another process gets the lock (%d)", got) : NULL;
}

static verdict whole_setup(void) {
  TRY(open_file());
  MUST(flock(fd, LOCK_EX | LOCK_NB));
  return NULL;
}
static verdict whole_check(void) { return held(0); }

static verdict range_setup(void) {
  TRY(open_file());
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
  MUST(fcntl(fd, F_SETLK, &lock));
  return NULL;
}
static verdict range_check(void) { return held(1); }

static verdict ofd_setup(void) {
  TRY(open_file());
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
  MUST(fcntl(fd, F_OFD_SETLK, &lock));
  return NULL;
}
static verdict ofd_check(void) { return held(2); }
