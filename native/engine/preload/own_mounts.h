// Where a restore builds the container's mounts, CRIU detaches things seven times, and each time waits for a grace period of the kernel, which is
// at best 0.1 ms and on a busy machine some; and it exchanges roots twice, for which the kernel goes through all threads of the host. With a
// single mount namespace (a container can have made more) one of each is needed, to take the host's mounts out of the container's:
//
// - CRIU makes a namespace with nothing but an empty directory as a pattern for the container's, and gives it up. Here it becomes the container's,
//   and the host's mounts are in it until the container's root takes their place. Nobody looks for a path of the container's meanwhile.
// - To exchange roots CRIU first mounts a directory onto itself, for the old root may not be put on a mount that is shared. It is none.
// - The namespace in which all was opened, and the directory in /run at which it was built, go when CRIU ends. Then it has answered.
//
// Whatever is in another order than CRIU 4.2 has it, is done as asked.
#pragma once

#include <stddef.h>

/** CRIU has opened this image, relative to a directory. */
void noteMountImage(const char* path);
/** Whether this mount(2) is one of an exchange of roots that needs none. */
int needsNoMount(const char* source, const char* target, const char* type, unsigned long flags, const void* data);
/** Whether what is there may stay: nobody will see it, or it goes at the end. */
int needsNoUnmount(const char* path, int flags);
/** The same of a directory. */
int staysForNow(const char* path);
