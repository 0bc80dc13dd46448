// The first 256 bytes of every connection between members: who connects, and proof that it knows the cluster's secret.
//
// libraft's decoder trusts its peers (lengths from the wire go straight to malloc and memcpy). So nothing reaches it
// before this record was complete and right; whatever else connects is closed without an answer. Fixed size: nothing in it is a
// length that we would have to believe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

constexpr size_t kHandshakeSize = 256;
constexpr size_t kTokenSize = 32;
constexpr size_t kMaxAddress = 128;

using HandshakeRecord = std::array<uint8_t, kHandshakeSize>;
/** Derived from the cluster secret (HMAC-SHA-256, made in TypeScript), so that the secret itself is not on this wire. */
using Token = std::array<uint8_t, kTokenSize>;

struct Member {
  uint64_t id;
  std::string address;
};

HandshakeRecord encodeHandshake(const Member &self, const Token &token);

/** The member that the record names, or nullptr when the record is wrong in any way. Compares the token in constant time. */
const Member *checkHandshake(const HandshakeRecord &record, const Token &token, const std::vector<Member> &members);
