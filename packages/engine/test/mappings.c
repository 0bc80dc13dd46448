// Reads of a process that stands still what CRIU does, smaps and the links of its mappings, through the C library and past it, and prints whether both say
// the same; then with a text in place that an engine is said to have read (native/engine/preload/mapping_texts.h), one line for each state that it may have.

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../native/engine/preload/mapping_texts.h"

enum { page = 4096, most = 4 << 20, chunk = 0xff0 };
static char through[most], past[most];
static int proc, process;

/** A private file in four pieces, one of them without rights; a file that is written to and shared; one that is deleted; memory of several kinds. */
static void mapThings(const char* file) {
  char gone[256];
  char* code = mmap(NULL, 8 * page, PROT_READ, MAP_PRIVATE, open(file, O_RDONLY), 0);
  mprotect(code + 2 * page, 2 * page, PROT_READ | PROT_WRITE);
  mprotect(code + 4 * page, 2 * page, PROT_NONE);
  mprotect(code + 6 * page, 2 * page, PROT_READ | PROT_EXEC);
  code[2 * page] = 1;
  char* shared = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, open(file, O_RDWR), 0);
  mprotect(shared + page, page, PROT_READ);
  snprintf(gone, sizeof gone, "%s-gone", file);
  const int deleted = open(gone, O_CREAT | O_RDWR, 0600);
  if (ftruncate(deleted, page) != 0) exit(1);
  mmap(NULL, page, PROT_READ, MAP_PRIVATE, deleted, 0);
  unlink(gone);
  madvise(mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), page, MADV_DONTFORK);
  mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int segment = shmget(IPC_PRIVATE, page, IPC_CREAT | 0600);
  shmat(segment, NULL, 0);
  shmctl(segment, IPC_RMID, NULL);
}

/** Leaves what says how much memory there is: pages that it has in common with this process become its own as this one writes. */
static void keepKinds(char* text) {
  char* to = text;
  for (char *line = text, *next; *line; line = next) {
    next = strchr(line, '\n');
    next = next ? next + 1 : line + strlen(line);
    const int isFigure = *line >= 'A' && *line <= 'Z' && strncmp(line, "VmFlags:", 8) != 0;
    if (isFigure) continue;
    memmove(to, line, (size_t)(next - line));
    to += next - line;
  }
  *to = '\0';
}

static int readThrough(int folder) {
  size_t length = 0;
  const int file = openat(folder, "smaps", O_RDONLY);
  for (ssize_t count; (count = read(file, through + length, chunk)) > 0;) length += (size_t)count;
  through[length] = '\0';
  keepKinds(through);
  return file;
}

static void readPast(int folder) {
  size_t length = 0;
  const int file = (int)syscall(SYS_openat, folder, "smaps", O_RDONLY);
  for (ssize_t count; (count = syscall(SYS_read, file, past + length, chunk)) > 0;) length += (size_t)count;
  past[length] = '\0';
  keepKinds(past);
  syscall(SYS_close, file);
}

/** Of each mapping in `past`. */
static void compareLinks(int folder) {
  int mappings = 0, files = 0, differ = 0;
  const int links = openat(folder, "map_files", O_RDONLY);
  for (char *line = past, *next; line && *line; line = next) {
    unsigned long start, end;
    char name[64];
    struct stat one, other;
    next = strchr(line, '\n');
    next = next ? next + 1 : NULL;
    if ((*line >= 'A' && *line <= 'Z') || sscanf(line, "%lx-%lx ", &start, &end) != 2) continue;
    snprintf(name, sizeof name, "%lx-%lx", start, end);
    const int result = fstatat(links, name, &one, AT_SYMLINK_NOFOLLOW), error = errno;
    const int truly = (int)syscall(SYS_newfstatat, links, name, &other, AT_SYMLINK_NOFOLLOW), trueError = errno;
    mappings++;
    files += truly == 0;
    if (result != truly || (truly != 0 && error != trueError) || (truly == 0 && one.st_mode != other.st_mode)) differ++;
  }
  struct stat info;
  const int unknown = fstatat(links, "1000-2000", &info, AT_SYMLINK_NOFOLLOW) == -1 && errno == ENOENT;
  printf("links %s, %s, %s\n", mappings > files + 4 && files > 12 ? "some" : "few", differ == 0 ? "same" : "other", unknown ? "unknown" : "invented");
  close(links);
}

static void* becomesThere(void* text) {
  struct mapping_text* one = text;
  usleep(50000);
  __atomic_store_n(&one->state, mappingTextThere, __ATOMIC_RELEASE);
  syscall(SYS_futex, &one->state, FUTEX_WAKE, 1, NULL, NULL, 0);
  return NULL;
}

static void tryText(const char* name, int folder, uint32_t state, int pid, uint64_t length) {
  static const char text[] = "1000-2000 rw-p 00000000 00:00 0\nVmFlags: rd wr\n";
  void (*take)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "takeMappingTexts");
  const int list = memfd_create("list", 0);
  if (!take || ftruncate(list, mappingTextsRoom) != 0) return;
  struct mapping_texts* texts = mmap(NULL, mappingTextsRoom, PROT_READ | PROT_WRITE, MAP_SHARED, list, 0);
  texts->texts[0] = (struct mapping_text){.pid = getpid(), .state = mappingTextNone};
  texts->texts[1] = (struct mapping_text){.pid = pid, .state = state, .offset = sizeof *texts, .length = length ? length : sizeof text - 1};
  memcpy(texts + 1, text, sizeof text);
  take(list);
  pthread_t thread;
  const int waits = state == mappingTextReading;
  if (waits) pthread_create(&thread, NULL, becomesThere, &texts->texts[1]);
  close(readThrough(folder));
  if (waits) pthread_join(thread, NULL);
  static const char* states[] = {"free", "reading", "there", "none"};
  printf("%s %s, then %s\n", name, strcmp(through, text) == 0 ? "taken over" : strcmp(through, past) == 0 ? "read" : "neither", states[texts->texts[1].state]);
}

int main(int count, char** arguments) {
  char number[16];
  if (count < 2) return 1;
  process = fork();
  if (process == 0) {
    mapThings(arguments[1]);
    raise(SIGSTOP);
    _exit(0);
  }
  int status;
  waitpid(process, &status, WUNTRACED);
  snprintf(number, sizeof number, "%d", process);
  proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_PATH);
  const int folder = openat(proc, number, O_RDONLY | O_PATH);
  readPast(folder);
  const int smaps = readThrough(folder);
  printf("smaps %s\n", strcmp(through, past) == 0 ? "same" : "other");
  compareLinks(folder);
  close(smaps);
  compareLinks(folder);
  tryText("free", folder, mappingTextFree, process, 0);
  tryText("there", folder, mappingTextThere, process, 0);
  tryText("reading", folder, mappingTextReading, process, 0);
  tryText("none", folder, mappingTextNone, process, 0);
  tryText("another’s", folder, mappingTextThere, process + 1, 0);
  tryText("damaged", folder, mappingTextThere, process, mappingTextsRoom);
  kill(process, SIGKILL);
  waitpid(process, &status, 0);
  return 0;
}
