// How a CRIU process begins: its descriptors, its environment, and the libraries of preload/ that it is loaded with, as far as they suit
// it. Knows nothing of conversations with it (criu_client.h).
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace drover {

/** Whether preload/criu_quick.c is there; then CRIU understands what is said of moves in its environment. */
bool haveQuickLibrary();
/**
 * Starts `binary swrk 3`, whose descriptors 3, 4, … are these, in a session of its own; `environment` is added (`NAME=value`). An
 * errno instead of a pid, negative, when it can't. The caller reaps it.
 */
pid_t startCriu(const std::string& binary, const std::vector<int>& descriptors, const std::vector<std::string>& environment);

}  // namespace drover
