// The text of /etc/passwd and /etc/group (passwd(5), group(5)). Both are the container's and not trusted: what is no number in
// range is no user. No effects; fuzzed as `users`.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

struct InsideUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home = "/";
  /** Supplementary ones, at most 64. */
  std::vector<gid_t> groups;
};

std::optional<InsideUser> findUser(std::string_view passwd, std::string_view name);
/** The supplementary groups that name the user. */
void addGroups(std::string_view group, std::string_view name, InsideUser& user);

}  // namespace drover
