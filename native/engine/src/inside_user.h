// A user of a container by name, from the container's own /etc/passwd and /etc/group (passwd(5), group(5)). Both are the
// container's and not trusted: what is no number in range is no user.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine.h"
#include "error.h"

namespace drover {

struct InsideUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home = "/";
  /** Supplementary ones, at most 64. */
  std::vector<gid_t> groups;
};

/** BAD_REQUEST when the container has no such user. */
Result<InsideUser> findInsideUser(const Container& container, const std::string& name);

}  // namespace drover
