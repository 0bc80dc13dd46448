// A CRIU that is loaded, linked and waits, and of which the CRIU of each move is a copy (preload/nursery.c): half a millisecond of processor
// time instead of five. It ends with the engine. Where it can't be had, each CRIU is started by itself.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace drover {

/**
 * A copy with these descriptors as its 3, 4, … and these lines in its environment, as startCriu says it; a child of ours that the caller
 * reaps. Negative: there is none, or it has died; another call may have better luck, with other descriptors. Calls must not overlap.
 */
pid_t copyWarmCriu(const std::string& binary, const std::vector<int>& descriptors, const std::vector<std::string>& environment);

}  // namespace drover
