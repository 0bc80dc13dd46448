// Replaces a file without a wait for the disk. To rename a file over another one has ext4 write the new one first (auto_da_alloc, ext4(5)), which
// takes from 0.4 ms to several; a container that moves stands still meanwhile. So the two change places, which is as atomic.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

/** The new file, for beginWriting: a power cut may come. */
Result<UniqueFd> exchangeFile(const std::string& path, const std::string& content);
/** What is left of it to be written goes to the disk from now on. */
void beginWriting(int file);

}  // namespace drover
