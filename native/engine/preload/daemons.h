// CRIU starts two daemons before it restores anybody, one for what can't be done from within the container's user namespace (usernsd) and one
// for threads with cgroups of their own, and waits in the end for each to be gone. The end of a copy of CRIU is half a
// millisecond of giving memory back, which nobody needs to wait for: a daemon says that it has done all it was asked to, and is reaped
// when CRIU has answered.
#pragma once

#include <sys/types.h>

/** A restore begins: this process forks the daemons. */
void expectDaemons(void);
/** fork(2), which gives this process a daemon if it expects any. */
pid_t forkDaemon(pid_t (*real)(void));
/** Whether a wait for this one is over already; then its status is told. */
int hasSaidFarewell(pid_t pid, int* status);
/** A wait for any child has found this one: nobody knows of it any more. */
int wasLeftBehind(pid_t pid);
