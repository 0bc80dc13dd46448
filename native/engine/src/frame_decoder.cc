// See frame_decoder.h.
#include "frame_decoder.h"

#include <endian.h>

namespace drover {

namespace {
constexpr size_t headerBytes = 4;
}

void FrameDecoder::append(std::string_view bytes) {
  bytes_.erase(0, start_);
  start_ = 0;
  bytes_.append(bytes);
}

Result<std::optional<Frame>> FrameDecoder::next() {
  const size_t there = bytes_.size() - start_;
  if (there < headerBytes) return std::optional<Frame>();
  uint32_t length;
  memcpy(&length, bytes_.data() + start_, headerBytes);
  length = le32toh(length);
  if (length > maxFrameBytes)
    return Error{"TOO_LARGE", "receive a frame: " + std::to_string(length) + " bytes, the limit is " + std::to_string(maxFrameBytes)};
  if (length == 0) return Error{"BAD_REQUEST", "receive a frame: it is empty, a type byte is needed"};
  if (there - headerBytes < length) return std::optional<Frame>();
  Frame frame{static_cast<FrameType>(bytes_[start_ + headerBytes]), bytes_.substr(start_ + headerBytes + 1, length - 1)};
  start_ += headerBytes + length;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace drover
