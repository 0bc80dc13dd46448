// Processes by pidfd: opening, signalling, waiting, and how one ended, also when it is not the engine's child.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

Result<UniqueFd> openPidfd(pid_t pid);
Status signalPidfd(int pidfd, int signal);
/** Waits until the process has ended (zombie or gone); false at the deadline. */
bool waitPidfd(int pidfd, int timeoutMs);
/** The wait status (as of waitpid) of an ended process; reaps it if it is ours. Empty where the kernel can't tell. */
std::optional<int> endedStatus(int pidfd);
/**
 * The same of a zombie that nobody has reaped yet, whoever's child it is; empty when it is too late. Kernels before 6.15 forget how a
 * process of somebody else ended once it is reaped, so who wants to know there looks at once.
 */
std::optional<int> zombieStatus(int pidfd);
/** Start time in clock ticks since boot (field 22 of /proc/<pid>/stat); 0 when there is no such process. */
uint64_t processStartTime(pid_t pid);
/** Identifies this boot of the machine. */
std::string bootId();
int64_t nowMs();

}  // namespace drover
