// Cuts the bytes of a client into frames (packages/protocol/src/frames.ts): u32 little-endian length of type and payload, u8
// type, payload. No effects; fuzzed as `frames`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "error.h"

namespace drover {

enum class FrameType : uint8_t { json = 0, standardInput = 1, standardOutput = 2, standardError = 3, inputEnd = 4, resize = 5, signal = 6, exit = 7, error = 8 };

/** Longest type and payload; both ways. */
constexpr size_t maxFrameBytes = 1 << 20;

struct Frame {
  FrameType type;
  std::string payload;
};

class FrameDecoder {
 public:
  void append(std::string_view bytes);
  /** The next whole frame; none: more bytes are needed. After an error it is not known where the next frame begins. */
  Result<std::optional<Frame>> next();

 private:
  std::string bytes_;
  size_t start_ = 0;
};

}  // namespace drover
