// System V semaphores and messages, POSIX message queues and named semaphores.

#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "probe.h"

PROBE(semaphores, "sem-sysv", "System V semaphores");
PROBE(messages, "msg-sysv", "System V messages, unread");
PROBE(queue, "mqueue", "a POSIX message queue with unread messages");

static int id;
static mqd_t posix_queue;
static struct {
  long type;
  char text[32];
} message = {.type = 3, .text = "an unread message"};

static verdict semaphores_setup(void) {
  MUST(id = semget(0x50524f53, 3, IPC_CREAT | 0600));
  for (int at = 0; at < 3; at++) MUST(semctl(id, at, SETVAL, 10 + at));
  return NULL;
}

static verdict semaphores_check(void) {
  for (int at = 0; at < 3; at++) CHECK(semctl(id, at, GETVAL) == 10 + at, "semaphore %d is %d", at, semctl(id, at, GETVAL));
  struct sembuf down = {1, -1, 0}, up = {1, 1, 0};
  MUST(semop(id, &down, 1));
  MUST(semop(id, &up, 1));
  return NULL;
}

static verdict messages_setup(void) {
  MUST(id = msgget(0x50524f4d, IPC_CREAT | 0600));
  MUST(msgsnd(id, &message, sizeof message.text, 0));
  message.type = 4;
  MUST(msgsnd(id, &message, sizeof message.text, 0));
  return NULL;
}

static verdict messages_check(void) {
  for (long type = 3; type <= 4; type++) {
    CHECK(msgrcv(id, &message, sizeof message.text, type, IPC_NOWAIT) == sizeof message.text, "message %ld: %s", type, strerror(errno));
    CHECK(!strcmp(message.text, "an unread message"), "message %ld changed", type);
  }
  for (message.type = 3; message.type <= 4; message.type++) MUST(msgsnd(id, &message, sizeof message.text, 0));
  return NULL;
}

static verdict queue_setup(void) {
  struct mq_attr attributes = {.mq_maxmsg = 5, .mq_msgsize = 32};
  posix_queue = mq_open("/probe", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attributes);
  if (posix_queue < 0) return absent("mq_open: %s", strerror(errno));
  MUST(mq_send(posix_queue, "posix", 6, 2));
  return NULL;
}

static verdict queue_check(void) {
  char text[32];
  unsigned priority;
  CHECK(mq_receive(posix_queue, text, sizeof text, &priority) == 6 && priority == 2, "the message is gone");
  MUST(mq_send(posix_queue, "posix", 6, 2));
  return NULL;
}
