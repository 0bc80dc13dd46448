// A container's record on disk: record.json in its directory, always whole (old or new), so that the next engine knows.
#pragma once

#include "container.h"
#include "error.h"

namespace drover {

Result<Record> loadRecord(const std::string& directory);
/** `durable` also survives a power cut. */
Status saveRecord(const std::string& directory, const Record& record, bool durable);

}  // namespace drover
