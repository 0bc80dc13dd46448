// See device_rule.h.
#include "device_rule.h"

#include <linux/bpf.h>

#include <charconv>

namespace drover {

namespace {

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<DeviceRule> parseDeviceRule(std::string_view text) {
  if (text.size() < 7 || (text[0] != 'c' && text[0] != 'b') || text[1] != ' ') return std::nullopt;
  const size_t colon = text.find(':'), space = text.find(' ', 2);
  if (colon == std::string_view::npos || space == std::string_view::npos || colon > space) return std::nullopt;
  DeviceRule rule;
  rule.block = text[0] == 'b';
  auto major = number(text.substr(2, colon - 2));
  const std::string_view minor = text.substr(colon + 1, space - colon - 1);
  if (minor != "*") rule.minor = number(minor);
  if (!major || (minor != "*" && !rule.minor)) return std::nullopt;
  rule.major = *major;
  for (char letter : text.substr(space + 1)) {
    if (letter != 'r' && letter != 'w' && letter != 'm') return std::nullopt;
    rule.access |= letter == 'r' ? BPF_DEVCG_ACC_READ : letter == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return rule.access == 0 ? std::nullopt : std::optional(rule);
}

}  // namespace drover
