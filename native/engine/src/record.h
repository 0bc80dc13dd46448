// A container's record on disk: record.json in its directory, always whole (old or new), so that the next engine knows.
#pragma once

#include "container.h"
#include "error.h"

namespace drover {

Result<Record> loadRecord(const std::string& directory);
/** No effects; fuzzed as `record`. */
Result<Record> parseRecord(std::string_view text);
std::string recordToText(const Record& record);
/** `durable` also survives a power cut. */
Status saveRecord(const std::string& directory, const Record& record, bool durable);

}  // namespace drover
