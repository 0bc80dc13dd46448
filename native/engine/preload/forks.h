// Copies of CRIU that are spared: a fork copies all of CRIU's mappings, and each page written afterwards once more, which is one to two
// milliseconds for work of microseconds.
#pragma once

/** The pid of a child that nobody is; more than any pid can be (PID_MAX_LIMIT of linux/threads.h). */
enum { nobody = 1 << 30 };

/** Reads from the environment whose files the container's are. */
void findOwner(void);
/** CRIU has opened (fd < 0: tried to open) this, relative to some directory: what it forks for next is known by what it opened last. */
void noteOpened(const char* path, int flags, int fd);
