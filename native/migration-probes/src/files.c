// Files without a name, files that are large or grow, and what else an open descriptor remembers.

#include "probe.h"

PROBE(ghost, "file-deleted", "a file that is open and deleted, written on");
PROBE(linked, "file-deleted-linked", "an open file whose path is gone while another name is left");
PROBE(nameless, "file-tmpfile", "O_TMPFILE, given a name at last");
PROBE(appended, "file-append-large", "a sparse file beyond 4 GiB, open for append");
PROBE(gone, "directory-deleted", "working directory and descriptor of a deleted directory");
PROBE(position, "file-position", "position and flags, shared by dup and fork");

static int fd, copy;
static long written;

static verdict append(const char *name) {
  char line[32];
  int length = snprintf(line, sizeof line, "%s %08ld\n", name, written++);
  return put(fd, line, (size_t)length);
}

static verdict last_is(const char *name) {
  char line[32], got[32] = {0};
  int length = snprintf(line, sizeof line, "%s %08ld\n", name, written - 1);
  struct stat state;
  MUST(fstat(fd, &state));
  CHECK(pread(fd, got, (size_t)length, state.st_size - length) == length && !strcmp(got, line), "it ends with \"%.20s\"", got);
  return NULL;
}

static verdict ghost_setup(void) {
  MUST(fd = open(place("ghost"), O_RDWR | O_CREAT | O_TRUNC, 0600));
  MUST(unlink(place("ghost")));
  return append("ghost");
}

static verdict ghost_check(void) {
  struct stat state;
  MUST(fstat(fd, &state));
  CHECK(state.st_nlink == 0, "it has a name again");
  CHECK(state.st_size == written * 15, "it has %lld bytes, not %ld", (long long)state.st_size, written * 15);
  TRY(last_is("ghost"));
  return append("ghost");
}

static verdict linked_setup(void) {
  unlink(place("other"));
  MUST(fd = open(place("first"), O_RDWR | O_CREAT | O_TRUNC, 0600));
  MUST(link(place("first"), place("other")));
  MUST(unlink(place("first")));
  return append("linked");
}

static verdict linked_check(void) {
  struct stat by_fd, by_path;
  MUST(fstat(fd, &by_fd));
  MUST(stat(place("other"), &by_path));
  CHECK(by_fd.st_ino == by_path.st_ino, "the other name is another file");
  CHECK(by_fd.st_nlink == 1, "it has %d names", (int)by_fd.st_nlink);
  TRY(last_is("linked"));
  return append("linked");
}

static verdict nameless_setup(void) {
  fd = open(getenv("PROBE_DIRECTORY"), O_TMPFILE | O_RDWR, 0600);
  if (fd < 0) return absent("O_TMPFILE: %s", strerror(errno));
  return append("nameless");
}

static verdict nameless_check(void) {
  TRY(last_is("nameless"));
  return append("nameless");
}

static verdict appended_setup(void) {
  MUST(fd = open(place("large"), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
  MUST(ftruncate(fd, 5LL << 30));
  return append("large");
}

static verdict appended_check(void) {
  struct stat state;
  MUST(fstat(fd, &state));
  CHECK(state.st_size == (5LL << 30) + written * 15, "it has %lld bytes", (long long)state.st_size);
  CHECK(state.st_blocks < 1 << 16, "its hole was filled: %lld blocks", (long long)state.st_blocks);
  CHECK(fcntl(fd, F_GETFL) & O_APPEND, "it is not open for append any more");
  TRY(last_is("large"));
  return append("large");
}

static verdict gone_setup(void) {
  mkdir(place("directory"), 0755);
  MUST(chdir(place("directory")));
  MUST(fd = open(".", O_RDONLY | O_DIRECTORY));
  MUST(rmdir(place("directory")));
  return NULL;
}

static verdict gone_check(void) {
  struct stat here, there;
  MUST(stat(".", &here));
  MUST(fstat(fd, &there));
  CHECK(here.st_ino == there.st_ino, "working directory and descriptor are two now");
  CHECK(open("new", O_CREAT | O_WRONLY, 0600) < 0, "files can be made in it");
  return NULL;
}

static verdict position_setup(void) {
  MUST(fd = open(place("position"), O_RDWR | O_CREAT | O_TRUNC, 0600));
  MUST(copy = fcntl(fd, F_DUPFD_CLOEXEC, 50));
  MUST(lseek(fd, 1234, SEEK_SET));
  MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
  return NULL;
}

static verdict position_check(void) {
  CHECK(lseek(copy, 0, SEEK_CUR) == 1234 + written, "the position is %lld", (long long)lseek(copy, 0, SEEK_CUR));
  written++;
  MUST(lseek(fd, 1, SEEK_CUR));
  CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK, "flags are lost");
  CHECK(fcntl(copy, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFD) == 0, "close-on-exec is lost");
  return NULL;
}
