// See charged_memory.h.
#include "charged_memory.h"

#include <algorithm>
#include <fcntl.h>

#include "file_io.h"

namespace drover {

Result<UniqueFd> chargeMemory(const Cgroups& cgroups, const std::string& container, pid_t pid) {
  const auto& all = cgroups.hierarchies();
  const auto memory = std::find_if(all.begin(), all.end(), [](const Hierarchy& each) { return each.controllers.contains("memory"); });
  if (memory == all.end()) return UniqueFd();
  DROVER_TRY_ASSIGN(lines, readFile("/proc/" + std::to_string(pid) + "/cgroup", 1 << 16));
  const std::string mark = memory->unified ? "\n0::/" : ":memory:/";
  const std::string text = "\n" + lines;
  const size_t found = text.find(mark);
  if (found == std::string::npos) return engineError("process " + std::to_string(pid) + " is in no memory cgroup that can be seen");
  const size_t path = found + mark.size() - 1;
  const std::string before = memory->mountPoint + text.substr(path, text.find('\n', path) - path) + "/cgroup.procs";
  UniqueFd back(open(before.c_str(), O_WRONLY | O_CLOEXEC));
  if (!back.valid()) return errnoError("open " + before);
  DROVER_TRY(writeKernelFile(memory->mountPoint + cgroups.path(container) + "/cgroup.procs", std::to_string(pid)));
  return back;
}

}  // namespace drover
