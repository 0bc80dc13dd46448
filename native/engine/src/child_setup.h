// Pieces that run in a forked child of this threaded process, before execve: only async-signal-safe calls, raw system calls
// where glibc would talk to threads that the child does not have (setuid and friends), nothing allocated.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

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
constexpr int mostSentDescriptors = 8;
/** Sends descriptors (with one byte), at most `mostSentDescriptors`. 0 or an errno. */
int sendDescriptors(int socket, std::span<const int> descriptors);
inline int sendDescriptor(int socket, int descriptor) { return sendDescriptors(socket, {&descriptor, 1}); }
/** Receives one byte and at most that many descriptors; how many came, -1 on failure or end of file. */
int receiveDescriptors(int socket, std::span<int> descriptors);
/** Receives one byte and a descriptor; -1 on failure or end of file. */
inline int receiveDescriptor(int socket) {
  int descriptor = -1;
  return receiveDescriptors(socket, {&descriptor, 1}) == 1 ? descriptor : -1;
}
[[noreturn]] void reportFailure(int socket, int stage, int number);

}  // namespace drover
