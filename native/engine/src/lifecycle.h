// Freezing, thawing, asking to power off, signalling. Operation queue only.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "container.h"
#include "engine.h"
#include "error.h"

namespace drover {

Status freezeContainer(Engine& engine, const std::shared_ptr<Container>& container);
/** Also one that is checkpointed: back on its bridge first. A restored one needs a release. */
Status thawContainer(Engine& engine, const std::shared_ptr<Container>& container);
/** Changes what it may use; what has processes is changed as it runs. A refusal leaves all as it was. */
Status updateContainer(Engine& engine, const std::shared_ptr<Container>& container, const Limits& limits, const std::optional<std::vector<Device>>& devices);
/** In force from its next start on: refused while it has processes. Whether it is privileged never changes: its files are owned accordingly. */
Status changeSecurity(Engine& engine, Container& container, const Security& security);
/** What is given is all that it has of it from now on. Set live if it runs; a variable that is set no longer keeps its value until the next start. */
Status changeKernelSettings(Engine& engine, Container& container, const std::optional<Sysctls>& sysctls, const std::optional<ResourceLimits>& rlimits);
/** Asks its init to power off: by `signal`, or (0) as its kind understands it; a frozen one is thawed for it. Returns at once. */
Status askToPowerOff(Engine& engine, const std::shared_ptr<Container>& container, int signal);
/** SIGKILL ends all of the container; others go to its init. */
Status signalContainer(Engine& engine, const std::shared_ptr<Container>& container, int signal);

}  // namespace drover
