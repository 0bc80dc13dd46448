// A user of a container by name, from the container's own /etc/passwd and /etc/group (user_database.h).
#pragma once

#include <string>

#include "engine.h"
#include "error.h"
#include "user_database.h"

namespace drover {

/** BAD_REQUEST when the container has no such user. */
Result<InsideUser> findInsideUser(const Container& container, const std::string& name);

}  // namespace drover
