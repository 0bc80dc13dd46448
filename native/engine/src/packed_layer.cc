// See packed_layer.h.
#include "packed_layer.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace drover {
namespace {

constexpr uint64_t magic = 0x3172657961'6c72ULL;

void append(std::string& to, uint64_t number) { to.append(reinterpret_cast<const char*>(&number), sizeof number); }

/** What is left of the file; a text that is cut off anywhere is an error, never a read beyond. */
class Rest {
 public:
  explicit Rest(std::string_view text) : text_(text) {}
  bool atEnd() const { return text_.empty(); }
  bool number(uint64_t& to) {
    if (text_.size() < sizeof to) return false;
    memcpy(&to, text_.data(), sizeof to);
    text_.remove_prefix(sizeof to);
    return true;
  }
  bool bytes(uint64_t length, std::string& to) {
    if (text_.size() < length) return false;
    to = text_.substr(0, length);
    text_.remove_prefix(length);
    return true;
  }

 private:
  std::string_view text_;
};

/** Only below the root, whatever the sender says. */
bool isPath(const std::string& path) {
  if (path.empty() || path.size() > PATH_MAX || path.find('\0') != std::string::npos) return false;
  for (size_t from = 0; from <= path.size();) {
    const size_t end = std::min(path.find('/', from), path.size());
    const std::string_view part = std::string_view(path).substr(from, end - from);
    if (part.empty() || part == "." || part == "..") return false;
    from = end + 1;
  }
  return true;
}

bool isType(uint64_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: case S_IFDIR: case S_IFLNK: case S_IFCHR: case S_IFBLK: case S_IFIFO: case S_IFSOCK: return true;
    default: return false;
  }
}

/** `before`: how many entries came before it. */
bool readEntry(Rest& rest, PackedEntry& entry, size_t before) {
  for (uint64_t& number : entry.head)
    if (!rest.number(number)) return false;
  if (!rest.bytes(entry.head[PackedEntry::pathLength], entry.path)) return false;
  const uint64_t mode = entry.head[PackedEntry::mode];
  if (!isType(mode) || entry.head[PackedEntry::otherName] > before) return false;
  if (before == 0 ? entry.path != "." || !S_ISDIR(mode) : !isPath(entry.path)) return false;
  for (uint64_t at = 0; at < entry.head[PackedEntry::attributeCount]; ++at) {
    uint64_t nameLength = 0, valueLength = 0;
    auto& [name, value] = entry.attributes.emplace_back();
    if (!rest.number(nameLength) || !rest.number(valueLength) || !rest.bytes(nameLength, name) || !rest.bytes(valueLength, value)) return false;
    if (name.empty() || name.find('\0') != std::string::npos) return false;
  }
  if (!rest.bytes(entry.head[PackedEntry::contentLength], entry.content)) return false;
  const bool leads = S_ISLNK(mode) && entry.head[PackedEntry::otherName] == 0;
  return !leads || (!entry.content.empty() && entry.content.find('\0') == std::string::npos);
}

}  // namespace

std::string emptyPackedLayer() {
  std::string text;
  append(text, magic);
  return text;
}

void appendPackedEntry(std::string& to, PackedEntry& entry) {
  entry.head[PackedEntry::pathLength] = entry.path.size();
  entry.head[PackedEntry::attributeCount] = entry.attributes.size();
  entry.head[PackedEntry::contentLength] = entry.content.size();
  for (const uint64_t number : entry.head) append(to, number);
  to += entry.path;
  for (const auto& [name, value] : entry.attributes) {
    append(to, name.size());
    append(to, value.size());
    to += name;
    to += value;
  }
  to += entry.content;
}

Result<std::vector<PackedEntry>> parsePackedLayer(std::string_view text) {
  const Error damaged{"TRANSFER_FAILED", "unpack a layer: what came is damaged"};
  Rest rest(text);
  uint64_t number = 0;
  if (text.size() > mostPackedBytes || !rest.number(number) || number != magic) return damaged;
  std::vector<PackedEntry> entries;
  while (!rest.atEnd()) {
    const size_t before = entries.size();
    if (before > mostPackedEntries || !readEntry(rest, entries.emplace_back(), before)) return damaged;
  }
  return entries;
}

}  // namespace drover
