// Pseudo terminals: master and slave, a session with a controlling terminal, process groups in fore- and background.

#include <termios.h>

#include "probe.h"

PROBE(terminal, "pty", "a pty with size, modes and unread input");
PROBE(controlling, "controlling-terminal", "a session on a pty, its foreground group, ^C reaches it");

static int master, slave;
static pid_t leader;

static verdict open_pty(void) {
  char path[64];
  int number, unlocked = 0;
  MUST(master = open("/dev/ptmx", O_RDWR | O_NOCTTY));
  MUST(ioctl(master, TIOCSPTLCK, &unlocked));
  MUST(ioctl(master, TIOCGPTN, &number));
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  MUST(slave = open(path, O_RDWR | O_NOCTTY));
  return NULL;
}

static verdict terminal_setup(void) {
  TRY(open_pty());
  struct winsize size = {.ws_row = 33, .ws_col = 111};
  MUST(ioctl(master, TIOCSWINSZ, &size));
  struct termios modes;
  MUST(tcgetattr(slave, &modes));
  modes.c_lflag &= (tcflag_t)~ECHO;
  MUST(tcsetattr(slave, TCSANOW, &modes));
  return NULL;
}

static verdict terminal_check(void) {
  struct winsize size;
  struct termios modes;
  MUST(ioctl(slave, TIOCGWINSZ, &size));
  CHECK(size.ws_row == 33 && size.ws_col == 111, "its size is %d × %d", size.ws_col, size.ws_row);
  MUST(tcgetattr(slave, &modes));
  CHECK(!(modes.c_lflag & ECHO) && modes.c_lflag & ICANON, "its modes changed");
  TRY(put(master, "typed\n", 6));
  return expect(slave, "typed\n", 6);
}

static volatile sig_atomic_t interrupted;
static void on_interrupt(int number) { interrupted = number; }

static void lead(void *unused) {
  (void)unused;
  setsid();
  signal(SIGINT, on_interrupt);
  ioctl(slave, TIOCSCTTY, 0);
  close(master);
  if (write(slave, "up", 2) != 2) return;
  for (;;) {
    pause();
    if (interrupted && write(slave, "int", 3) != 3) return;
    interrupted = 0;
  }
}

static verdict controlling_setup(void) {
  TRY(open_pty());
  struct termios modes;
  MUST(tcgetattr(slave, &modes));
  modes.c_lflag &= (tcflag_t)~ECHO;
  MUST(tcsetattr(slave, TCSANOW, &modes));
  leader = spawn(lead, NULL);
  return expect(master, "up", 2);
}

static verdict controlling_check(void) {
  pid_t session, group;
  MUST(ioctl(master, TIOCGSID, &session));
  CHECK(session == leader, "the session is %d, not %d", session, leader);
  MUST(ioctl(master, TIOCGPGRP, &group));
  CHECK(group == leader, "the foreground group is %d, not %d", group, leader);
  TRY(put(master, "\003", 1));
  return expect(master, "int", 3);
}
