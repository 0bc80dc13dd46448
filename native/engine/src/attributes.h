// Extended attributes of the entries of a writable layer; ACLs and file capabilities are such.
#pragma once

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace drover {

/** By these overlayfs ties a layer to the file systems of its host: they never leave it. */
inline constexpr const char* boundToHost[] = {"trusted.overlay.origin", "trusted.overlay.uuid", "trusted.overlay.nlink", "trusted.overlay.impure"};

/** Value of an attribute, of the list of them, or of a link; empty when it is gone or the file system has none. */
template <typename Get>
std::string attribute(Get get) {
  std::string value(256, '\0');
  for (;;) {
    ssize_t length = get(value.data(), value.size());
    if (length >= 0) {
      value.resize(static_cast<size_t>(length));
      return value;
    }
    if (errno != ERANGE) return "";
    ssize_t needed = get(nullptr, 0);
    value.resize(static_cast<size_t>(std::max<ssize_t>(needed, 0)) + 256);
  }
}

/** By name, without those that are bound to the host; the last part of `path` is not followed. */
inline std::vector<std::pair<std::string, std::string>> attributesOf(const std::string& path) {
  const std::string list = attribute([&](char* to, size_t room) { return llistxattr(path.c_str(), to, room); });
  std::vector<std::pair<std::string, std::string>> attributes;
  for (size_t at = 0; at < list.size();) {
    std::string name = list.c_str() + at;
    at += name.size() + 1;
    if (std::find(std::begin(boundToHost), std::end(boundToHost), name) != std::end(boundToHost)) continue;
    std::string value = attribute([&](char* to, size_t room) { return lgetxattr(path.c_str(), name.c_str(), to, room); });
    attributes.emplace_back(std::move(name), std::move(value));
  }
  std::sort(attributes.begin(), attributes.end());
  return attributes;
}

}  // namespace drover
