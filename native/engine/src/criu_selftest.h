// `drover-engine --criu-selftest PATH`: does this criu really work on this kernel? Versions and `criu check` don't tell (4.1.1
// passes its own check and then fails on every inet socket of newer kernels), so a small process with an established TCP
// connection in its own network namespace is dumped, restored, and has to go on counting over that connection.

#pragma once

namespace drover {

/** Prints one JSON object {usable, version, reason} and returns 0 if usable, 1 if not. The process must have one thread. */
int criuSelftest(const char* binary);

}  // namespace drover
