// Bytes that the raft thread, the state history and the JavaScript side share without copying. Never written once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

using Bytes = std::vector<uint8_t>;
using Blob = std::shared_ptr<const Bytes>;

inline Blob makeBlob(const void *base, size_t length) {
  auto bytes = static_cast<const uint8_t *>(base);
  return std::make_shared<const Bytes>(bytes, bytes + length);
}
