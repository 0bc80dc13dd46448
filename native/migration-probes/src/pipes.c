// Pipes and fifos with data in them.

#include "probe.h"

PROBE(pipes, "pipe", "a pipe with unread data, shared by two processes");
PROBE(fifo, "fifo", "a fifo by path with unread data");
PROBE(packet, "pipe-packets", "a pipe in packet mode (O_DIRECT)");

static int in, out;
static char data[20000];

static verdict fill(void) {
  for (size_t at = 0; at < sizeof data; at++) data[at] = (char)(at * 7);
  return put(out, data, sizeof data);
}

static void hold(void *unused) {
  (void)unused;
  for (;;) pause();
}

static verdict pipes_setup(void) {
  int fds[2];
  MUST(pipe(fds));
  in = fds[0];
  out = fds[1];
  MUST(spawn(hold, NULL));
  return fill();
}

static verdict refill(void) {
  TRY(expect(in, data, sizeof data));
  return fill();
}

static verdict pipes_check(void) { return refill(); }

static verdict fifo_setup(void) {
  unlink(place("fifo"));
  MUST(mkfifo(place("fifo"), 0600));
  MUST(in = open(place("fifo"), O_RDONLY | O_NONBLOCK));
  MUST(out = open(place("fifo"), O_WRONLY));
  return fill();
}

static verdict fifo_check(void) { return refill(); }

static verdict packet_setup(void) {
  int fds[2];
  MUST(pipe2(fds, O_DIRECT));
  in = fds[0];
  out = fds[1];
  return NULL;
}

static verdict packet_check(void) {
  char buffer[64];
  TRY(put(out, "four", 4));
  TRY(put(out, "sixsix", 6));
  CHECK(read(in, buffer, sizeof buffer) == 4, "packets were joined");
  CHECK(read(in, buffer, sizeof buffer) == 6, "packets were joined");
  return NULL;
}
