// What a process that is being restored asks of CRIU's daemon outside its user namespace, and can have for less than a message, an answer
// and two changes of process:
//
// - to be moved into a cgroup. Each process asks that for each hierarchy of cgroups, the first one twice, and nearly all are there already,
//   as they inherit their parent's. One that is not goes by itself, through a file that was opened outside.
// - to set the host's name, for which the daemon forks a copy of CRIU: it may do that itself.
//
// Whatever doesn't look as expected, or fails, goes to the daemon as ever.
#pragma once

#include <sys/socket.h>

/** CRIU has opened this, relative to a directory: of a cgroup's directory the way in is kept, of the names' image the names. */
void noteOpenedFor(int folder, const char* path, int flags);
/** Whether this message needs no daemon; its answer is then waiting. */
int needsNoDaemon(int socket, const struct msghdr* message);
/** The length of the answer that waits at this socket; 0: none does. */
ssize_t takeAnswer(int socket, struct msghdr* message);
