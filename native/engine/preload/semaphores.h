// An eventfd that is a semaphore (EFD_SEMAPHORE) gives one of its count to each reader. CRIU (4.2) makes an ordinary one of it, whose first
// reader gets all. It carries the flags of open files, so a semaphore goes with one that an eventfd can't have, O_DIRECT; and where
// that one is to be set, at the restore, it becomes a semaphore. A restore without this library fails there, in words.
#pragma once

#include <stddef.h>
#include <sys/types.h>

/** CRIU has read this much into a buffer of this size: of a semaphore's fdinfo (proc_pid_fdinfo(5)) the flags get the mark. Gives the new length. */
ssize_t markSemaphore(int fd, char* text, ssize_t length, size_t room);
/** Before flags are set: those without the mark, after it has made `fd` a semaphore. -1: it could not. */
int takeSemaphoreMark(int fd, int flags);
/** The flags that were read after that: CRIU looks whether it has set them all. */
int giveSemaphoreMark(int fd, int flags);
