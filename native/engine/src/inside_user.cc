// See inside_user.h.
#include "inside_user.h"

#include <charconv>

#include "inside_root.h"
#include "json_io.h"
#include "spec.h"

namespace drover {

namespace {

constexpr size_t mostFileBytes = 1 << 20;
constexpr size_t mostGroups = 64;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool parseId(std::string_view text, uid_t& id) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() && id < uidRange;
}

}  // namespace

Result<InsideUser> findInsideUser(const Container& container, const std::string& name) {
  const Error unknown{"BAD_REQUEST", "exec in " + container.id + ": it has no user `" + name + "`"};
  if (name.empty() || name.find_first_of(":\n") != std::string::npos) return unknown;
  DROVER_TRY_ASSIGN(root, openInsideRoot(container));
  DROVER_TRY_ASSIGN(passwd, readWithin(root.get(), "/etc/passwd", mostFileBytes));
  InsideUser user;
  bool found = false;
  for (auto line : split(passwd, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() < 6 || fields[0] != name || !parseId(fields[2], user.uid) || !parseId(fields[3], user.gid)) continue;
    if (fields[5].starts_with('/')) user.home = fields[5];
    found = true;
    break;
  }
  if (!found) return unknown;
  // Without the file it has no more groups.
  auto group = readWithin(root.get(), "/etc/group", mostFileBytes);
  if (!group.ok()) return user;
  for (auto line : split(group.value(), '\n')) {
    auto fields = split(line, ':');
    gid_t gid;
    if (fields.size() < 4 || !parseId(fields[2], gid) || gid == user.gid || user.groups.size() >= mostGroups) continue;
    for (auto member : split(fields[3], ',')) {
      if (member != name) continue;
      user.groups.push_back(gid);
      break;
    }
  }
  return user;
}

}  // namespace drover
