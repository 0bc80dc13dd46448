// Watches the memory of each container: reports that it is near its limit, and what the kernel killed there; under the policy `freeze` it
// freezes the container at its limit, so that nothing is killed, until it is given more. Level-triggered: what the kernel's files
// say counts, a notification only says when to look. Bear in mind: at the limit a system call may still fail for want of memory.
#pragma once

#include <cstdint>
#include <memory>

#include "container.h"
#include "error.h"

namespace drover {

class Engine;

/** Near: 90 % of the limit. It counts as left when it falls below 80 %, so that it isn't told over and over. */
constexpr int64_t nearLimit(int64_t limit) { return limit - limit / 10; }
constexpr int64_t leftLimit(int64_t limit) { return limit - limit / 5; }

/** Any thread: soon, with the limits that the record has. Replaces an earlier watch. */
void guardMemory(Engine& engine, const std::shared_ptr<Container>& container);
/** Any thread: its init ends. */
void unguardMemory(Engine& engine, Container& container);
/** Any thread: its memory is worth a look, soon. */
void lookAtMemory(Engine& engine, const std::shared_ptr<Container>& container);

}  // namespace drover
