// Open files that have lost the name they were opened by but still have another. CRIU gives each a name `link_remap.N` in the
// same folder for the restore to open, and because the source stays alive takes it away again at the end of the dump, before
// the writable layer has been copied. The engine keeps a second link meanwhile and puts the names back for the copy.
#pragma once

#include <string>
#include <vector>

#include "container.h"
#include "error.h"

namespace drover {

/** At CRIU's post-dump notification: keeps what the images in `directory` name. Returns the names below the root. */
Result<std::vector<std::string>> keepLinkRemaps(const Container& container, int directory);
/** After the dump: puts the names back into the upper of the frozen container. */
Status putBackLinkRemaps(const Container& container, const std::vector<std::string>& names);
/** Before it runs on: takes them away again. */
void removeLinkRemaps(const Container& container, const std::vector<std::string>& names);

}  // namespace drover
