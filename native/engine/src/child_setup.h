// Pieces that run in a forked child of this threaded process, before execve: only async-signal-safe calls, raw system calls
// where glibc would talk to threads that the child does not have (setuid and friends), nothing allocated.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace drover {

/** What a child reports through its sync socket when it fails; nothing (end of file) when execve has succeeded. */
struct ChildFailure {
  /** Index into the stage names of the one who forked. */
  int32_t stage;
  int32_t number;
};

struct ForkResult {
  pid_t pid;
  int pidfd;
};

/** fork() with namespaces and into a cgroup2 directory (-1: the caller's own). Returns twice; pid 0 in the child, negative errno on failure. */
ForkResult forkInto(uint64_t cloneFlags, int cgroupDirectory);
/** Default handlers, nothing blocked; not traceable from inside the container until execve. */
void becomePlainProcess();
/** Writes "0" to each: joins v1 cgroups. 0 or an errno. */
int joinTasks(const int* files, int count);
/** 0 or an errno. */
int becomeUser(uid_t uid, gid_t gid, const gid_t* groups = nullptr, size_t groupCount = 0);
/** Sends one descriptor (with one byte). 0 or an errno. */
int sendDescriptor(int socket, int descriptor);
/** Receives one byte and a descriptor; -1 on failure or end of file. */
int receiveDescriptor(int socket);
[[noreturn]] void reportFailure(int socket, int stage, int number);

}  // namespace drover
