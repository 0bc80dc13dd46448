// Cutting text of the kernel's into lines, fields and words.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace drover {

/** What is between the separators: one part more than there are of them. */
inline std::vector<std::string_view> splitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/** Words between blanks, tabs and newlines; none of them is empty. */
inline std::vector<std::string_view> splitWords(std::string_view text) {
  constexpr std::string_view blanks = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  for (size_t start = text.find_first_not_of(blanks); start != std::string_view::npos; start = text.find_first_not_of(blanks, start)) {
    const size_t end = std::min(text.find_first_of(blanks, start), text.size());
    words.push_back(text.substr(start, end - start));
    start = end;
  }
  return words;
}

}  // namespace drover
