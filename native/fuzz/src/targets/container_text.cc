// What comes out of a container: its users and groups, and bytes in base64.
#include "base64.h"
#include "spec.h"
#include "target.h"
#include "user_database.h"

using namespace drover;

namespace {

/** name, zero byte, passwd, zero byte, group */
void runUsers(std::string_view input) {
  const size_t first = input.find('\0');
  if (first == std::string_view::npos) return;
  const size_t second = std::min(input.find('\0', first + 1), input.size());
  const auto name = input.substr(0, first);
  auto user = findUser(input.substr(first + 1, second - first - 1), name);
  if (!user) return;
  addGroups(input.substr(std::min(second + 1, input.size())), name, *user);
  must(user->uid < uidRange && user->gid < uidRange, "a user is the container's");
  must(user->home.starts_with('/') && user->home.find('\n') == std::string::npos, "a home is a path");
  must(user->groups.size() <= 64, "groups are bounded");
  for (gid_t group : user->groups) must(group < uidRange, "a group is the container's");
}

void runBase64(std::string_view input) {
  must(fromBase64(toBase64(input)) == std::string(input), "base64 comes back");
  if (auto data = fromBase64(input)) must(data->size() <= input.size() / 4 * 3, "data is shorter than its text");
}

const Registered registeredUsers("users", runUsers), registeredBase64("base64", runBase64);

}  // namespace
