// Replaces a file without a wait for the disk. To rename a file over another one has ext4 write the new one first (auto_da_alloc, ext4(5)), which
// takes from 0.4 ms to several; a container that moves stands still meanwhile. So the two change places, which is as atomic. And to remove the old
// one waits for what is being written of it: it is held open, and goes when it is closed.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

struct Exchanged {
  UniqueFd file;
  /** Without a name; invalid if there was none. */
  UniqueFd replaced;
};

/** What finishExchange is to be given soon. */
Result<Exchanged> exchangeFile(const std::string& path, const std::string& content);
/** What is left of the new one to be written goes to the disk from now on, since a power cut may come; the old one goes. May take a while. */
void finishExchange(Exchanged& exchanged);

}  // namespace drover
