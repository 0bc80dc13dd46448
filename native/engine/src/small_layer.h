// A small writable layer as one file, from one host's engine to the other's, while the container runs. Most containers have changed a dozen small files;
// two processes of tar, each forked from an agent of a hundred megabytes, cost more than all else about such a disk. It carries what tar does (names,
// types, modes, owners, times of content, devices, links, extended attributes, which names are one file, holes, content) and sockets. That
// it arrived as it was is shown by the hash of both trees, as ever. What is not small stays tar's.
#pragma once

#include <string>

#include "error.h"

namespace drover {

/**
 * Writes what is below `root` into `file`; false: it is too much. Each file is first written back, so that whoever writes to it afterwards through
 * a shared mapping leaves a trace in its times. What vanishes meanwhile is left out: the delta of the blackout says so.
 */
Result<bool> packLayer(const std::string& root, const std::string& file);

/** Makes it again below `root`, which holds nothing; the disk has its files when this returns. */
Status unpackLayer(const std::string& root, const std::string& file);

}  // namespace drover
