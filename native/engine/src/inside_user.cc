// See inside_user.h.
#include "inside_user.h"

#include "inside_root.h"

namespace drover {

namespace {

constexpr size_t mostFileBytes = 1 << 20;

}  // namespace

Result<InsideUser> findInsideUser(const Container& container, const std::string& name) {
  const Error unknown{"BAD_REQUEST", "exec in " + container.id + ": it has no user `" + name + "`"};
  DROVER_TRY_ASSIGN(root, openInsideRoot(container));
  DROVER_TRY_ASSIGN(passwd, readWithin(root.get(), "/etc/passwd", mostFileBytes));
  auto user = findUser(passwd, name);
  if (!user) return unknown;
  // Without the file it has no more groups.
  auto group = readWithin(root.get(), "/etc/group", mostFileBytes);
  if (group.ok()) addGroups(group.value(), name, *user);
  return *user;
}

}  // namespace drover
