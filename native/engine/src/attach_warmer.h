// Moving a process between cgroups takes a kernel-wide lock whose first taker waits for an RCU grace period (10 ms and more); for a
// while after that it costs some microseconds. CRIU moves every restored task while the container stands still. So a thread
// takes the lock from shortly before a restore on, by moving the engine to where it is: one for all restores.
// See cgroup_attach_lock and rcu_sync_enter in the kernel.
#pragma once

#include <chrono>

namespace drover {

/**
 * From the preparation of a restore to where CRIU moves its tasks, if little has to be sent ahead and nobody else moves. In an evacuation it takes
 * longer, and warming all the time would cost more than the wait.
 */
constexpr std::chrono::milliseconds warmBeforeRestore{200};
/** From the beginning of a restore until then. */
constexpr std::chrono::milliseconds warmInRestore{100};

/** For so long from now on, if not longer already. Does not wait. */
void keepAttachingWarm(std::chrono::milliseconds duration);

}  // namespace drover
