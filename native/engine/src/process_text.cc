// See process_text.h.
#include "process_text.h"

#include <charconv>

#include "words.h"

namespace drover {

namespace {

constexpr std::string_view blanks = " \t";

/** The number that the text starts with, after blanks; `otherwise` when there is none or it doesn't fit. */
template <class Number>
Number numberAt(std::string_view text, Number otherwise) {
  const size_t start = std::min(text.find_first_not_of(blanks), text.size());
  Number number;
  auto [end, error] = std::from_chars(text.data() + start, text.data() + text.size(), number);
  return error == std::errc() ? number : otherwise;
}

/** A hexadecimal number that is all of the text. */
template <class Number>
bool readHex(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return error == std::errc() && end == text.data() + text.size();
}

/** Pairs of hexadecimal digits; none when it is something else. */
std::optional<std::string> bytesOfHex(std::string_view text) {
  std::string bytes;
  if (text.empty() || text.size() % 2 != 0) return {};
  for (size_t at = 0; at < text.size(); at += 2) {
    unsigned char byte;
    if (!readHex(text.substr(at, 2), byte)) return {};
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

/** The rest of the first line that starts with `key`. */
std::optional<std::string_view> lineAfter(std::string_view text, std::string_view key) {
  for (auto line : splitAt(text, '\n'))
    if (line.starts_with(key)) return line.substr(key.size());
  return {};
}

/** Not more than there is room for: such sums are only shown. */
int64_t sum(int64_t a, int64_t b) {
  int64_t result;
  return __builtin_add_overflow(a, b, &result) ? INT64_MAX : result;
}

}  // namespace

int64_t numberAfter(std::string_view text, std::string_view key) {
  auto rest = lineAfter(text, key);
  return rest ? numberAt<int64_t>(*rest, -1) : -1;
}

int64_t lastNumberAfter(std::string_view text, std::string_view key) {
  auto rest = lineAfter(text, key);
  if (!rest) return 0;
  const size_t gap = rest->find_last_of(blanks);
  return numberAt<int64_t>(rest->substr(gap == std::string_view::npos ? 0 : gap), 0);
}

int64_t numberOfKey(std::string_view text, std::string_view key) {
  auto rest = lineAfter(text, std::string(key) + " ");
  return rest ? numberAt<int64_t>(*rest, 0) : 0;
}

std::optional<ProcessStat> parseProcessStat(std::string_view text) {
  // The name may hold anything, but is the last thing in brackets.
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  const auto fields = splitWords(text.substr(close + 1));
  // Numbered from field 3, the state.
  const auto field = [&](size_t number) { return fields[number - 3]; };
  constexpr size_t startTime = 22, exitCode = 52;
  if (fields.size() <= startTime - 3) return {};
  ProcessStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  stat.state = field(3)[0];
  stat.parentPid = numberAt<int64_t>(field(4), 0);
  stat.ticks = sum(numberAt<int64_t>(field(14), 0), numberAt<int64_t>(field(15), 0));
  stat.threads = numberAt<int64_t>(field(20), 0);
  stat.startTime = numberAt<uint64_t>(field(startTime), 0);
  if (stat.state == 'Z' && fields.size() > exitCode - 3) stat.exitStatus = numberAt<int>(field(exitCode), 0);
  return stat;
}

std::optional<std::string> cgroupIn(std::string_view text, std::string_view controller) {
  for (auto line : splitAt(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const auto path = line.substr(second + 1), controllers = line.substr(first + 1, second - first - 1);
    // The unified hierarchy is number 0 and names none.
    if (controller.empty() && line.starts_with("0::")) return std::string(path);
    if (controller.empty()) continue;
    for (auto name : splitAt(controllers, ','))
      if (name == controller) return std::string(path);
  }
  return {};
}

Traffic parseTraffic(std::string_view text) {
  Traffic traffic;
  std::string_view before;
  for (auto word : splitWords(text)) {
    if (word.starts_with("rbytes=")) traffic.read = sum(traffic.read, numberAt<int64_t>(word.substr(7), 0));
    else if (word.starts_with("wbytes=")) traffic.written = sum(traffic.written, numberAt<int64_t>(word.substr(7), 0));
    else if (before == "Read") traffic.read = sum(traffic.read, numberAt<int64_t>(word, 0));
    else if (before == "Write") traffic.written = sum(traffic.written, numberAt<int64_t>(word, 0));
    before = word;
  }
  return traffic;
}

std::vector<WatchMark> parseWatchMarks(std::string_view text) {
  std::vector<WatchMark> marks;
  for (auto line : splitAt(text, '\n')) {
    if (!line.starts_with("inotify wd:") && !line.starts_with("fanotify ino:")) continue;
    WatchMark mark;
    bool device = false, number = false;
    for (auto word : splitWords(line)) {
      if (word.starts_with("sdev:")) device = readHex(word.substr(5), mark.device);
      else if (word.starts_with("ino:")) number = readHex(word.substr(4), mark.number);
      else if (word.starts_with("fhandle-type:")) (void)readHex(word.substr(13), mark.handleType);
      else if (word.starts_with("f_handle:")) mark.handle = bytesOfHex(word.substr(9)).value_or("");
    }
    if (device && number) marks.push_back(std::move(mark));
  }
  return marks;
}

namespace {

/** The value of `,name=` in a line of the kernel's log. */
std::string field(std::string_view line, std::string_view name) {
  size_t start = line.find("," + std::string(name) + "=");
  if (start == std::string::npos) return "";
  start += name.size() + 2;
  return std::string(line.substr(start, line.find_first_of(",\n", start) - start));
}

}  // namespace

std::string oomVictimIn(std::string_view line, std::string_view cgroup) {
  if (line.find("oom-kill:") == std::string::npos) return "";
  std::string where = field(line, "oom_memcg");
  // The log has paths from the root of the hierarchy, which may lie above ours.
  return where.ends_with(cgroup) ? field(line, "task") : "";
}

}  // namespace drover
