// See memory_map.h.
#include "memory_map.h"

#include <charconv>

#include "words.h"

namespace drover {

namespace {

constexpr std::string_view blanks = " \t";
constexpr size_t accessLetters = 4;

/** Cuts the next word off. */
std::string_view takeWord(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  const auto word = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(word.size());
  return word;
}

bool readNumber(std::string_view text, int base, uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<Mapping> parseMapping(std::string_view line) {
  Mapping mapping;
  const auto range = takeWord(line);
  const size_t dash = std::min(range.find('-'), range.size());
  if (!readNumber(range.substr(0, dash), 16, mapping.start) || !readNumber(range.substr(std::min(dash + 1, range.size())), 16, mapping.end)) return std::nullopt;
  const auto access = takeWord(line);
  if (mapping.end <= mapping.start || access.size() != accessLetters) return std::nullopt;
  mapping.readable = access[0] == 'r';
  mapping.writable = access[1] == 'w';
  mapping.isPrivate = access[3] == 'p';
  const auto offset = takeWord(line), device = takeWord(line), inode = takeWord(line);
  if (offset.empty() || device.empty() || !readNumber(inode, 10, mapping.inode)) return std::nullopt;
  mapping.name = line.substr(std::min(line.find_first_not_of(blanks), line.size()));
  return mapping;
}

std::optional<Mapping> vdsoIn(std::string_view maps) {
  for (auto line : splitAt(maps, '\n'))
    if (line.ends_with("[vdso]"))
      if (auto mapping = parseMapping(line); mapping && mapping->name == "[vdso]" && mapping->inode == 0) return mapping;
  return std::nullopt;
}

}  // namespace drover
