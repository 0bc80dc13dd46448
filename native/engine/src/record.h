// A container's record on disk: record.json in its directory, always whole (old or new), so that the next engine knows.
#pragma once

#include "container.h"
#include "error.h"

namespace drover {

std::string recordPath(const std::string& directory);
/** Where a power cut left none that is whole, the one before it takes its place. */
Result<Record> loadRecord(const std::string& directory);
/** No effects; fuzzed as `record`. */
Result<Record> parseRecord(std::string_view text);
std::string recordToText(const Record& record);
/** The first one, of a new directory: both survive a power cut. */
Status saveNewRecord(const std::string& directory, const Record& record);

}  // namespace drover
