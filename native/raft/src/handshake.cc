#include "handshake.h"

#include <cstring>

namespace {
constexpr char kMagic[9] = "DRVRAFT1";
constexpr size_t kIdAt = 8, kTokenAt = 16, kAddressAt = kTokenAt + kTokenSize;
static_assert(kAddressAt + kMaxAddress < kHandshakeSize, "the address fits with its zero");
}  // namespace

HandshakeRecord encodeHandshake(const Member &self, const Token &token) {
  HandshakeRecord record{};
  std::memcpy(record.data(), kMagic, 8);
  for (size_t i = 0; i < 8; i++) record[kIdAt + i] = static_cast<uint8_t>(self.id >> (8 * i));
  std::memcpy(record.data() + kTokenAt, token.data(), kTokenSize);
  std::memcpy(record.data() + kAddressAt, self.address.data(), std::min(self.address.size(), kMaxAddress));
  return record;
}

const Member *checkHandshake(const HandshakeRecord &record, const Token &token, const std::vector<Member> &members) {
  if (std::memcmp(record.data(), kMagic, 8) != 0) return nullptr;
  uint8_t difference = 0;
  for (size_t i = 0; i < kTokenSize; i++) difference |= static_cast<uint8_t>(record[kTokenAt + i] ^ token[i]);
  if (difference != 0) return nullptr;
  uint64_t id = 0;
  for (size_t i = 0; i < 8; i++) id |= static_cast<uint64_t>(record[kIdAt + i]) << (8 * i);
  auto text = reinterpret_cast<const char *>(record.data() + kAddressAt);
  const std::string address(text, strnlen(text, kHandshakeSize - kAddressAt));
  for (const Member &member : members) {
    if (member.id == id && member.address == address) return &member;
  }
  return nullptr;
}
