#include "state-history.h"

#include <cstring>

namespace {

// Layout, little endian: magic u64, image index u64, image length u64, entry count u64, image, then {length u32, entry} each.
constexpr uint64_t kMagic = 0x31504e5352565244;  // "DRVRSNP1"
constexpr size_t kHeaderSize = 32;

void putNumber(Bytes &out, uint64_t value, int size) {
  for (int i = 0; i < size; i++) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

uint64_t getNumber(const uint8_t *at, int size) {
  uint64_t value = 0;
  for (int i = 0; i < size; i++) value |= static_cast<uint64_t>(at[i]) << (8 * i);
  return value;
}

}  // namespace

uint64_t StateHistory::append(Blob entry) {
  entries_.push_back(std::move(entry));
  return lastIndex();
}

bool StateHistory::takeImage(uint64_t index, Blob image) {
  if (index <= imageIndex_ || index > lastIndex()) return false;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(index - imageIndex_));
  imageIndex_ = index;
  image_ = std::move(image);
  return true;
}

Bytes StateHistory::encode() const {
  size_t size = kHeaderSize + image_->size();
  for (const Blob &entry : entries_) size += 4 + entry->size();
  Bytes out;
  out.reserve(size);
  putNumber(out, kMagic, 8);
  putNumber(out, imageIndex_, 8);
  putNumber(out, image_->size(), 8);
  putNumber(out, entries_.size(), 8);
  out.insert(out.end(), image_->begin(), image_->end());
  for (const Blob &entry : entries_) {
    putNumber(out, entry->size(), 4);
    out.insert(out.end(), entry->begin(), entry->end());
  }
  return out;
}

std::string StateHistory::decode(const void *base, size_t length) {
  auto at = static_cast<const uint8_t *>(base);
  if (length < kHeaderSize || getNumber(at, 8) != kMagic) return "not a snapshot of drover";
  const uint64_t index = getNumber(at + 8, 8), imageLength = getNumber(at + 16, 8), count = getNumber(at + 24, 8);
  const uint8_t *end = at + length;
  at += kHeaderSize;
  if (imageLength > static_cast<uint64_t>(end - at)) return "the image is cut off";
  Blob image = makeBlob(at, imageLength);
  at += imageLength;
  std::deque<Blob> entries;
  for (uint64_t i = 0; i < count; i++) {
    if (end - at < 4) return "an entry's length is cut off";
    const uint64_t size = getNumber(at, 4);
    at += 4;
    if (size > static_cast<uint64_t>(end - at)) return "an entry is cut off";
    entries.push_back(makeBlob(at, size));
    at += size;
  }
  imageIndex_ = index;
  image_ = std::move(image);
  entries_ = std::move(entries);
  return "";
}
