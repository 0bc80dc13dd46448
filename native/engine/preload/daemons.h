// CRIU starts two daemons before it restores anybody, one for what can't be done from within the container's user namespace (usernsd) and one
// for threads with cgroups of their own, and waits in the end for each to be gone. The end of a copy of CRIU is half a
// millisecond of giving memory back, which nobody needs to wait for or to have beside it: whoever asked a daemon has had its answer, and it ends
// when CRIU has answered too. Where each process has one thread the daemon for threads is not started.
#pragma once

#include <sys/types.h>

/** A restore begins: this process forks the daemons. */
void expectDaemons(void);
/** CRIU has opened this image, relative to a directory. */
void noteThreads(int folder, const char* path);
/** fork(2), which gives this process a daemon if it expects any. */
pid_t forkDaemon(pid_t (*real)(void));
/** Whether this one is a daemon, whose end nobody waits for; its status is told. */
int needsNoWait(pid_t pid, int* status);
/** A wait for any child has found this one: nobody knows of it any more. */
int wasLeftBehind(pid_t pid);
