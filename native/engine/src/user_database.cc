// See user_database.h.
#include "user_database.h"

#include <charconv>

#include "spec.h"
#include "words.h"

namespace drover {

namespace {

constexpr size_t mostGroups = 64;

bool parseId(std::string_view text, uid_t& id) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() && id < uidRange;
}

}  // namespace

std::optional<InsideUser> findUser(std::string_view passwd, std::string_view name) {
  if (name.empty() || name.find_first_of(":\n") != std::string_view::npos) return {};
  for (auto line : splitAt(passwd, '\n')) {
    auto fields = splitAt(line, ':');
    InsideUser user;
    if (fields.size() < 6 || fields[0] != name || !parseId(fields[2], user.uid) || !parseId(fields[3], user.gid)) continue;
    // It becomes an environment variable, which would end at a zero byte.
    if (fields[5].starts_with('/') && fields[5].find('\0') == std::string_view::npos) user.home = fields[5];
    return user;
  }
  return {};
}

void addGroups(std::string_view group, std::string_view name, InsideUser& user) {
  for (auto line : splitAt(group, '\n')) {
    auto fields = splitAt(line, ':');
    gid_t gid;
    if (fields.size() < 4 || !parseId(fields[2], gid) || gid == user.gid || user.groups.size() >= mostGroups) continue;
    for (auto member : splitAt(fields[3], ',')) {
      if (member != name) continue;
      user.groups.push_back(gid);
      break;
    }
  }
}

}  // namespace drover
