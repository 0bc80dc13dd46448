// Starts a container's init. Operation queue only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "container.h"
#include "engine.h"
#include "error.h"

namespace drover {

/** From created or stopped to running; already running is no error. Leaves nothing behind when it fails. */
Status startContainer(Engine& engine, const std::shared_ptr<Container>& container);

/** NAME=value strings and the array of pointers that execve wants; it must outlive the pointers' use. */
class EnvironmentBlock {
 public:
  explicit EnvironmentBlock(const std::map<std::string, std::string>& variables);
  char* const* data() { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};
class ArgumentBlock {
 public:
  explicit ArgumentBlock(std::vector<std::string> arguments);
  char* const* data() { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};
/** What every process of a container finds: PATH, HOME, container; then the container's own variables. */
std::map<std::string, std::string> baseEnvironment(const Spec& spec);

}  // namespace drover
