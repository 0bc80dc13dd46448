// Another name for a container, running or not: its hostname, and where its own files say the old one. What its users changed by
// hand stays. Repeatable: an engine that was killed on the way is asked again. Operation queue only.
#pragma once

#include <memory>
#include <string>

#include "engine.h"
#include "error.h"

namespace drover {

Status renameContainer(Engine& engine, const std::shared_ptr<Container>& container, const std::string& name);
/** The text of /etc/hosts with each host name `before` turned into `after`; addresses, comments and all else stay. */
std::string renamedInHosts(const std::string& text, const std::string& before, const std::string& after);

}  // namespace drover
