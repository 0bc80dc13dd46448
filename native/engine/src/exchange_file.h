// Replaces a file without a wait for the disk. To rename a file over another one has ext4 write the new one first (auto_da_alloc, ext4(5)), which
// takes from 0.4 ms to several; a container that moves stands still meanwhile. So the two change places, which is as atomic. And to remove the old
// one waits for what is being written of it: it is held open, and goes when it is closed.
//
// What a power cut leaves is another matter: the change of names may be on the disk before what the new file holds (anybody's fsync writes it,
// with ext4), and then the file is empty. So the last one that is whole on the disk has a second name meanwhile, which restoreKept gives back.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

/** What the last one that is on the disk is called while the newest one need not be. */
constexpr const char* keptSuffix = ".kept";

struct Exchanged {
  UniqueFd file;
  /** Without a name; invalid if there was none. */
  UniqueFd replaced;
};

/** What finishExchange is to be given soon. */
Result<Exchanged> exchangeFile(const std::string& path, const std::string& content);
/** What is left of the new one to be written goes to the disk from now on, since a power cut may come; the old one goes. May take a while. */
void finishExchange(Exchanged& exchanged);

/** Waits until the file is on the disk: what dropKept wants. */
Result<UniqueFd> syncExchanged(const std::string& path);
/** The second name goes, unless the file has been exchanged since: false. Not beside exchangeFile. */
bool dropKept(const std::string& path, const UniqueFd& synced);
/** Whether a former process, or boot, left the second name. */
bool hasKept(const std::string& path);
/** A process that was killed in an exchange may have left the kept one under the name of the next new one, which would be written over it. */
void dropUnfinished(const std::string& path);
/** The last one that is whole on the disk takes the place of the newest one. */
Status restoreKept(const std::string& path);

}  // namespace drover
