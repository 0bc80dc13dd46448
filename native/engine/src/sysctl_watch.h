// Which containers have written any of their sysctls: a program on the cgroup2 above them notes it, so that a move need not read hundreds of them to see
// that none was changed. It stays there when the engine ends, and the next one goes on with what it has noted. Who enters a container's namespaces from
// outside, without its cgroup, isn't seen. See BPF_PROG_TYPE_CGROUP_SYSCTL in the kernel's bpf/prog_cgroup_sysctl.rst.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

class SysctlWatch {
 public:
  /** Of the cgroups right below this one; those that are there already when it begins may have. */
  static Result<SysctlWatch> begin(const std::string& parent);
  bool mayHaveWritten(const std::string& cgroup) const;
  /** It has, or was given what another has. */
  void note(const std::string& cgroup) const;
  void forget(const std::string& cgroup) const;

 private:
  UniqueFd map_;
};

}  // namespace drover
