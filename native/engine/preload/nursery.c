// See nursery.h; the other end is criu_nursery.cc. An order is one message on the socket that CRIU was given: the environment's lines, each with its
// null byte, and the descriptors that the copy gets as 3 (its socket) and 4 (its gate, if it has one). The answer is its pid, a child
// of the engine as any CRIU is.

#define _GNU_SOURCE
#include "nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "few_mappings.h"

enum { orders = 3, mostDescriptors = 2, largestOrder = 8192 };

static int isNursery;

void findNursery(void) {
  isNursery = getenv("DROVER_CRIU_NURSERY") != NULL;
  unsetenv("DROVER_CRIU_NURSERY");
}

/** How many descriptors came with it; -1: no more will come. */
static int takeOrder(char* order, size_t* length, int* descriptors) {
  struct iovec part = {order, largestOrder};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(mostDescriptors * sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count;
  do count = recvmsg(orders, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  struct cmsghdr* header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || header->cmsg_type != SCM_RIGHTS || order[count - 1] != '\0') return -1;
  *length = (size_t)count;
  int descriptorCount = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  memcpy(descriptors, CMSG_DATA(header), (size_t)descriptorCount * sizeof(int));
  return descriptorCount;
}

/** fork(2), but the child is the engine's. The C library keeps the thread's id in its memory; the kernel knows where. */
static pid_t copyForEngine(void) {
  int* threadId = NULL;
  struct clone_args arguments = {.flags = CLONE_PARENT};
  if (prctl(PR_GET_TID_ADDRESS, &threadId) == 0 && threadId) {
    arguments.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    arguments.child_tid = (uintptr_t)threadId;
  }
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

/** Out of the way first: where one goes, the other may be. */
static void place(const int* descriptors, int count) {
  int moved[mostDescriptors];
  for (int i = 0; i < count; i++) moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 16);
  for (int i = 0; i < count; i++) close(descriptors[i]);
  for (int i = 0; i < count; i++) {
    if (dup2(moved[i], orders + i) < 0) _exit(1);
    close(moved[i]);
  }
}

int waitInNursery(void) {
  if (!isNursery) return 0;
  static char order[largestOrder];
  prctl(PR_SET_NAME, "criu-nursery");
  joinMappings();
  for (;;) {
    size_t length;
    int descriptors[mostDescriptors];
    const int count = takeOrder(order, &length, descriptors);
    if (count < 1) _exit(0);
    const pid_t child = copyForEngine();
    if (child == 0) {
      isNursery = 0;
      place(descriptors, count);
      // A session of its own: a signal to the engine's terminal or group must not end a dump halfway.
      setsid();
      prctl(PR_SET_NAME, "criu");
      for (char* line = order; line < order + length; line += strlen(line) + 1) putenv(line);
      return 1;
    }
    for (int i = 0; i < count; i++) close(descriptors[i]);
    if (send(orders, &child, sizeof child, MSG_NOSIGNAL) != sizeof child) _exit(0);
  }
}
