// Memory of every kind: private, shared, file-backed, memfd, POSIX and System V segments.

#include <sys/ipc.h>
#include <sys/shm.h>

#include "probe.h"

PROBE(anonymous, "memory", "private memory, 8 MiB, half of it never touched, with protections");
PROBE(shared, "memory-shared", "anonymous memory shared by two processes, atomic between them");
PROBE(files, "memory-file", "private and shared maps of a file");
PROBE(memfd, "memfd", "memfd, sealed and mapped");
PROBE(posix_shm, "shm-posix", "POSIX shared memory");
PROBE(sysv_shm, "shm-sysv", "System V shared memory");

enum { size = 8 << 20, page = 4096 };
static unsigned char *map, *second;
static int fd, id;
static unsigned turn;

static void fill(unsigned char *at, size_t length, unsigned seed) {
  for (size_t index = 0; index < length; index += sizeof(uint32_t)) *(uint32_t *)(at + index) = (uint32_t)(index * 2654435761u + seed);
}

static verdict same(const unsigned char *at, size_t length, unsigned seed) {
  for (size_t index = 0; index < length; index += sizeof(uint32_t))
    CHECK(*(const uint32_t *)(at + index) == (uint32_t)(index * 2654435761u + seed), "memory differs at byte %zu", index);
  return NULL;
}

static verdict map_shared(int file, size_t length) {
  map = mmap(NULL, length, PROT_READ | PROT_WRITE, file < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, file, 0);
  return map == MAP_FAILED ? bad("mmap: %s", strerror(errno)) : NULL;
}

static verdict turn_page(size_t length) {
  TRY(same(map, length, turn));
  fill(map, length, ++turn);
  return NULL;
}

static verdict anonymous_setup(void) {
  map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(map != MAP_FAILED, "mmap: %s", strerror(errno));
  fill(map, size / 2, turn);
  MUST(mprotect(map + size - page, page, PROT_NONE));
  MUST(madvise(map, page, MADV_DONTFORK));
  return NULL;
}

static verdict anonymous_check(void) {
  TRY(turn_page(size / 2));
  for (size_t at = size / 2; at < size - page; at += page) CHECK(map[at] == 0, "untouched memory is not zero at %zu", at);
  int fds[2];
  MUST(pipe(fds));
  CHECK(write(fds[1], map + size - page, 1) < 0 && errno == EFAULT, "the protected page can be read");
  close(fds[0]);
  close(fds[1]);
  return NULL;
}

static void count_up(void *unused) {
  (void)unused;
  for (;;) {
    __atomic_add_fetch((uint64_t *)map, 1, __ATOMIC_SEQ_CST);
    pause_ms(5);
  }
}

static verdict shared_setup(void) {
  TRY(map_shared(-1, size / 8));
  fill(map + page, page, 3);
  MUST(spawn(count_up, NULL));
  return NULL;
}

static verdict shared_check(void) {
  TRY(same(map + page, page, 3));
  uint64_t before = __atomic_load_n((uint64_t *)map, __ATOMIC_SEQ_CST);
  for (long long until = now_ms() + 5000; now_ms() < until; pause_ms(5))
    if (__atomic_load_n((uint64_t *)map, __ATOMIC_SEQ_CST) > before) return NULL;
  return bad("the other process counts no more, at %llu", (unsigned long long)before);
}

static verdict files_setup(void) {
  MUST(fd = open(place("map"), O_RDWR | O_CREAT | O_TRUNC, 0600));
  MUST(ftruncate(fd, 64 * page));
  TRY(map_shared(fd, 64 * page));
  second = mmap(NULL, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  CHECK(second != MAP_FAILED, "mmap: %s", strerror(errno));
  fill(map, 64 * page, turn);
  fill(second, page, 99);
  return NULL;
}

static verdict files_check(void) {
  TRY(same(second, page, 99));
  unsigned char read_back[page];
  CHECK(pread(fd, read_back, page, 0) == page && !memcmp(read_back, map, page), "file and map differ");
  return turn_page(64 * page);
}

static verdict memfd_setup(void) {
  MUST(fd = memfd_create("probe", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  MUST(ftruncate(fd, 16 * page));
  TRY(map_shared(fd, 16 * page));
  fill(map, 16 * page, turn);
  MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
  return NULL;
}

static verdict memfd_check(void) {
  CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW), "seals are %d", fcntl(fd, F_GET_SEALS));
  CHECK(ftruncate(fd, 0) < 0, "it can be shrunk");
  unsigned char read_back[page];
  CHECK(pread(fd, read_back, page, 0) == page && !memcmp(read_back, map, page), "memfd and map differ");
  return turn_page(16 * page);
}

static verdict posix_shm_setup(void) {
  // shm_open without librt's search: its place is fixed on Linux.
  fd = open("/dev/shm/probe", O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return absent("/dev/shm: %s", strerror(errno));
  MUST(ftruncate(fd, 16 * page));
  TRY(map_shared(fd, 16 * page));
  fill(map, 16 * page, turn);
  return NULL;
}

static verdict posix_shm_check(void) {
  struct stat by_path, by_fd;
  MUST(stat("/dev/shm/probe", &by_path));
  MUST(fstat(fd, &by_fd));
  CHECK(by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev, "path and descriptor are two files now");
  return turn_page(16 * page);
}

static verdict sysv_shm_setup(void) {
  id = shmget(0x50524f42, 16 * page, IPC_CREAT | 0600);
  MUST(id);
  map = shmat(id, NULL, 0);
  CHECK(map != (void *)-1, "shmat: %s", strerror(errno));
  fill(map, 16 * page, turn);
  return NULL;
}

static verdict sysv_shm_check(void) {
  CHECK(shmget(0x50524f42, 0, 0) == id, "the key names another segment");
  struct shmid_ds state;
  MUST(shmctl(id, IPC_STAT, &state));
  CHECK(state.shm_nattch == 1, "attached %lu times", (unsigned long)state.shm_nattch);
  return turn_page(16 * page);
}
