// Ways out of a container that need system calls, one per name: `escape-attempts NAME [NUMBER]` prints what the kernel says and ends with 1
// when it refused, with 0 when it didn't, and with 2 when it was never asked. Built by the test, static, for an image without libraries.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/kexec.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static long number;

/** The root of the file system below, by its inode: “shocker”. */
static long by_handle(void) {
  struct {
    struct file_handle head;
    unsigned inode, parent;
  } handle = {{8, 1}, 2, 0};
  int here = open("/", O_RDONLY);
  return syscall(SYS_open_by_handle_at, here, &handle, O_RDONLY);
}

static long force_unmount(void) { return umount2("/proc", MNT_FORCE); }

static int entries(const char *path) {
  int count = 0;
  DIR *directory = opendir(path);
  for (struct dirent *entry; directory && (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) ++count;
  if (directory) closedir(directory);
  return count;
}

/** What its root is mounted over: an empty directory, and what is below that one stays out of sight. */
static long below_root(void) {
  int own = unshare(CLONE_NEWNS) == 0 ? open("/proc/self/ns/mnt", O_RDONLY) : -1;
  if (own < 0 || umount2("/", MNT_DETACH) != 0 || setns(own, CLONE_NEWNS) != 0) exit(2);
  if (entries("/") != 1 || entries("/host") != 3 || entries("/host/proc") + entries("/host/sys") + entries("/host/view") != 0) return 0;
  if (mkdir("/host/new", 0700) == 0) return 0;
  return umount2("/", MNT_DETACH);
}

static long kexec(void) { return syscall(SYS_kexec_load, 0L, 0L, NULL, 0L); }
static long kexec_file(void) { return syscall(SYS_kexec_file_load, 0, 0, 0L, "", 0L); }
static long load_module(void) { return syscall(SYS_init_module, "", 0L, ""); }
static long load_module_file(void) { return syscall(SYS_finit_module, open("/bin/busybox", O_RDONLY), "", 0); }
static long remove_module(void) { return syscall(SYS_delete_module, "none", O_NONBLOCK); }

static long load_program(void) {
  struct bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (unsigned long)code, .insn_cnt = 2, .license = (unsigned long)"GPL"};
  return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

static long measure_kernel(void) {
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_CPU_CLOCK};
  return syscall(SYS_perf_event_open, &event, -1, 0, -1, 0);
}

static long catch_faults(void) { return syscall(SYS_userfaultfd, 0); }
static long ring(void) {
  char parameters[256] = {0};
  return syscall(SYS_io_uring_setup, 8, parameters);
}

/** Of the host, or of a neighbour: by its number. */
static long read_key(void) {
  char text[64];
  return syscall(SYS_keyctl, KEYCTL_READ, number, text, sizeof text);
}
static long find_key(void) { return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "drover-escape", 0); }

static long trace(void) { return ptrace(PTRACE_ATTACH, (pid_t)number, 0, 0); }
static long read_memory(void) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
  return process_vm_readv((pid_t)number, &here, 1, &there, 1, 0);
}
static long hold_process(void) { return syscall(SYS_pidfd_open, (pid_t)number, 0); }

static long push_key(void) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0;
  if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) != 0) return 0;
  int slave = open(ptsname(master), O_RDWR);
  return slave < 0 ? 0 : ioctl(slave, TIOCSTI, "x");
}

static long ports(void) { return iopl(3); }
static long some_ports(void) { return ioperm(0x70, 1, 1); }
static long set_clock(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return settimeofday(&now, NULL);
}
static long all_events(void) { return fanotify_init(FAN_CLASS_CONTENT, O_RDONLY); }
/** Its own cgroup namespace may be mounted; what lies in it is the host's. */
static long open_devices(void) {
  if (mount("cgroup", "/tmp", "cgroup", 0, "devices") != 0) return -1;
  int list = open("/tmp/devices.allow", O_WRONLY);
  long written = list < 0 ? -1 : write(list, "a", 1);
  int number = errno;
  umount("/tmp");
  errno = number;
  return written;
}

/** kexec_load of 32-bit programs: a filter for one ABI alone would let it pass. */
static long kexec_32(void) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(283), "b"(0), "c"(0), "d"(0), "S"(0) : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return result;
  errno = (int)-result;
#else
  errno = EPERM;
#endif
  return -1;
}

static const struct {
  const char *name;
  long (*attempt)(void);
} attempts[] = {
    {"by-handle", by_handle},       {"force-unmount", force_unmount}, {"below-root", below_root}, {"kexec", kexec},           {"kexec-file", kexec_file},     {"kexec-32", kexec_32},
    {"load-module", load_module},   {"load-module-file", load_module_file}, {"remove-module", remove_module}, {"bpf", load_program}, {"perf", measure_kernel},
    {"userfaultfd", catch_faults},  {"io-uring", ring},               {"read-key", read_key},     {"find-key", find_key},         {"ptrace", trace},
    {"read-memory", read_memory},   {"pidfd", hold_process},          {"push-key", push_key},     {"iopl", ports},                {"ioperm", some_ports},
    {"set-clock", set_clock},       {"fanotify", all_events},         {"cgroup-v1", open_devices},
};

int main(int count, char **words) {
  number = count > 2 ? atol(words[2]) : 0;
  /** For the test: a key to be found. Prints its number. */
  if (count > 1 && strcmp(words[1], "make-key") == 0) {
    long key = syscall(SYS_add_key, "user", "drover-escape", "secret", 6, KEY_SPEC_USER_KEYRING);
    printf("%ld\n", key);
    return key < 0;
  }
  if (count > 1 && strcmp(words[1], "remove-key") == 0) return syscall(SYS_keyctl, KEYCTL_UNLINK, number, KEY_SPEC_USER_KEYRING) != 0;
  for (size_t i = 0; count > 1 && i < sizeof attempts / sizeof *attempts; i++) {
    if (strcmp(attempts[i].name, words[1]) != 0) continue;
    errno = 0;
    long result = attempts[i].attempt();
    if (result < 0) {
      printf("%s\n", strerrorname_np(errno));
      return 1;
    }
    printf("done: %ld\n", result);
    return 0;
  }
  return 2;
}
