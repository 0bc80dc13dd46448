// CRIU dumps each of a container's namespaces (UTS, IPC, network, time) in a copy of itself, which joins it, writes an image and ends: with a
// fork, the pages written afterwards, and their return to the kernel that is most of a millisecond each, for work of a tenth. Here the same process
// does it: fork(2) says to it that it is the child, and when the child ends, it is the parent again, back where it has
// forked from, in its own namespaces, and hears that its child has ended.
#pragma once

#include <sys/types.h>

/** Before the container stands still: what is needed to come back. */
void prepareInPlace(void);
/** CRIU has opened this: what it writes next are the namespaces, or is not. */
void noteWritten(const char* path, int writes);
/** fork(2): 0, to be the child; then, from the child's end, `nobody`. -1: it has to be a real one. */
pid_t forkInPlace(pid_t nobody);
/** waitpid(2) for any child: `nobody`, with the status of such a one; 0: none is left. */
pid_t waitInPlace(pid_t nobody, int* status);
