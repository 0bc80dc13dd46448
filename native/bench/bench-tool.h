// One binary, one command each; every moment is CLOCK_REALTIME in nanoseconds, which no container has of its own.
#pragma once

#include <stddef.h>

/** Starts a container with the least that the kernel asks for; prints "<moment> <pid>". */
int floorCommand(int count, char** arguments);
/** Starts many, a batch at a time, some under way at once, and ends them all; prints each batch's starts per second when it is done. */
int floorsCommand(int count, char** arguments);
/** stamp FILE PROGRAM ARGV0 [ARGUMENT…]: writes the moment into FILE, then becomes PROGRAM. */
int stampCommand(int count, char** arguments);
/** spawn LOG PROGRAM [ARGUMENT…]: runs it to its end; prints "<moment before> <moment after> <exit code>". */
int spawnCommand(int count, char** arguments);
/** answer ADDRESS|PID-FILE PORT TIMEOUT_MS: prints the moment of the first byte that a TCP service sends. */
int answerCommand(int count, char** arguments);
/** touch MIB: uses so much memory for a moment. */
int touchCommand(int count, char** arguments);

/** Uses so many bytes for a moment. */
void touchMemory(size_t size);

long long nowNs(void);
/** Ends with the message and errno's. */
void fail(const char* doing);

/** Makes a veth pair: NAME here, up and on the bridge; eth0 in the network of `pid`. */
void makeVeth(const char* name, int bridge, int pid);
/** In the network namespace of the caller. */
void bringUp(const char* name, const char* address);
