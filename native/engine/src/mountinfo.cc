// See mountinfo.h.
#include "mountinfo.h"

#include <charconv>

#include "words.h"

namespace drover {

namespace {

/** id, parent, device, root, path, options; then optional fields, a dash, type, source and the options of the file system. */
bool parseLine(std::string_view line, MountLine& mount) {
  // By single blanks: a mount's source may be empty.
  const auto fields = splitAt(line, ' ');
  constexpr size_t fixed = 6, afterDash = 3;
  size_t dash = fixed;
  while (dash < fields.size() && fields[dash] != "-") ++dash;
  if (dash + afterDash >= fields.size()) return false;
  auto [end, error] = std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), mount.id);
  if (error != std::errc()) return false;
  mount.root = unescapeMountinfo(fields[3]);
  mount.path = unescapeMountinfo(fields[4]);
  mount.type = fields[dash + 1];
  mount.superOptions = fields[dash + 3];
  return true;
}

bool isOctal(char digit) { return digit >= '0' && digit <= '7'; }

}  // namespace

std::vector<MountLine> parseMountinfo(std::string_view text, size_t most) {
  std::vector<MountLine> mounts;
  for (auto line : splitAt(text, '\n')) {
    if (mounts.size() >= most) break;
    MountLine mount;
    if (parseLine(line, mount)) mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string unescapeMountinfo(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && isOctal(text[i + 1]) && isOctal(text[i + 2]) && isOctal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace drover
