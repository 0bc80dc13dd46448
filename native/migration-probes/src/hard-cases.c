// Objects that CRIU can't carry: a container that uses one is told so by name, and is not disturbed.

#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/socket.h>
#include <linux/aio_abi.h>

#include "probe.h"

PROBE(uring, "io_uring", "an io_uring");
PROBE(faults, "userfaultfd", "a userfaultfd");
PROBE(perf, "perf-event", "a perf event");
PROBE(aio, "aio", "a Linux AIO context without requests");
PROBE(raw, "socket-raw", "a raw ICMP socket");
PROBE(packets, "socket-packet", "a packet socket, as DHCP clients and tcpdump have");

static int fd;
static aio_context_t context;

static verdict uring_setup(void) {
  struct io_uring_params parameters = {0};
  fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  return fd < 0 ? absent("io_uring_setup: %s", strerror(errno)) : NULL;
}
static verdict uring_check(void) { return fcntl(fd, F_GETFD) < 0 ? bad("it is gone") : NULL; }

static verdict faults_setup(void) {
  fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (fd < 0) return absent("userfaultfd: %s", strerror(errno));
  struct uffdio_api api = {.api = UFFD_API};
  MUST(ioctl(fd, UFFDIO_API, &api));
  return NULL;
}
static verdict faults_check(void) { return fcntl(fd, F_GETFD) < 0 ? bad("it is gone") : NULL; }

static verdict perf_setup(void) {
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
  fd = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
  return fd < 0 ? absent("perf_event_open: %s", strerror(errno)) : NULL;
}
static verdict perf_check(void) { return fcntl(fd, F_GETFD) < 0 ? bad("it is gone") : NULL; }

static verdict aio_setup(void) { return syscall(SYS_io_setup, 8, &context) < 0 ? absent("io_setup: %s", strerror(errno)) : NULL; }

static verdict aio_check(void) {
  struct iocb request = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (uint64_t)(uintptr_t) "aio", .aio_nbytes = 3}, *requests[] = {&request};
  struct io_event event;
  int file = open(place("file"), O_CREAT | O_WRONLY, 0600);
  request.aio_fildes = (uint32_t)file;
  long submitted = syscall(SYS_io_submit, context, 1, requests);
  long got = submitted == 1 ? syscall(SYS_io_getevents, context, 1, 1, &event, NULL) : -1;
  close(file);
  return got == 1 && event.res == 3 ? NULL : bad("a request does not end well");
}

static verdict raw_setup(void) {
  fd = socket(AF_INET, SOCK_RAW, 1);
  return fd < 0 ? absent("socket: %s", strerror(errno)) : NULL;
}

static verdict raw_check(void) {
  int type;
  socklen_t length = sizeof type;
  MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length));
  return type == SOCK_RAW ? NULL : bad("its type is %d", type);
}

static verdict packets_setup(void) {
  fd = socket(AF_PACKET, SOCK_DGRAM, 0x0008);
  return fd < 0 ? absent("socket: %s", strerror(errno)) : NULL;
}

static verdict packets_check(void) {
  int type;
  socklen_t length = sizeof type;
  MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length));
  return type == SOCK_DGRAM ? NULL : bad("its type is %d", type);
}
