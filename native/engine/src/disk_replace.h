// Gives a container without processes another disk: a snapshot that is put back, or the copy of another container's. The new tree lies
// ready in the container's directory; one rename exchanges it with the old one. What is under way is in the record first, so
// that whenever the engine dies, the next one has either the old disk whole or the new one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "container.h"
#include "engine.h"
#include "error.h"

namespace drover {

/** `directory` is directly below the container's own; its owners are in the range of `uidBase`. */
Status replaceDisk(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, uint32_t uidBase);
/** For an adopted container: finishes what a former engine began. */
Status recoverReplace(Engine& engine, Container& container);

}  // namespace drover
