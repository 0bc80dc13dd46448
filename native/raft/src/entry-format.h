// How a proposal becomes an entry of libraft's log, and back.
//
// In front of each: who proposed it (random per life of a member) and that member's number for it, so that it knows its own
// when they are committed, and the length. libraft takes the length of an entry for a multiple of 8 without saying so (others
// shift what follows in their batch), so entries are padded. Numbers are in the machine's order: members share an architecture.
#pragma once

#include <cstring>
#include <optional>

#include "blob.h"
#include "die.h"
#include "libraft.h"

struct DecodedEntry {
  uint64_t proposer;
  uint64_t sequence;
  Blob bytes;
};

constexpr size_t kEntryHeader = 24;
constexpr size_t kAlignment = 8;

inline size_t padded(size_t length) { return (length + kAlignment - 1) / kAlignment * kAlignment; }

inline raft_buffer encodeEntry(uint64_t proposer, uint64_t sequence, const Bytes &bytes) {
  raft_buffer buffer;
  buffer.len = kEntryHeader + padded(bytes.size());
  buffer.base = raft_calloc(1, buffer.len);
  if (!buffer.base) die("propose an entry", "out of memory");
  const uint64_t header[3] = {proposer, sequence, bytes.size()};
  std::memcpy(buffer.base, header, sizeof header);
  std::memcpy(static_cast<uint8_t *>(buffer.base) + kEntryHeader, bytes.data(), bytes.size());
  return buffer;
}

/** Empty when it is shorter than its header, or than its header says. */
inline std::optional<DecodedEntry> readEntry(const void *base, size_t length) {
  if (length < kEntryHeader) return {};
  uint64_t header[3];
  std::memcpy(header, base, sizeof header);
  if (header[2] > length - kEntryHeader) return {};
  return DecodedEntry{header[0], header[1], makeBlob(static_cast<const uint8_t *>(base) + kEntryHeader, header[2])};
}

inline DecodedEntry decodeEntry(const raft_buffer &buffer) {
  auto entry = readEntry(buffer.base, buffer.len);
  if (!entry) die("apply an entry", "it is shorter than its header, or than its header says");
  return *std::move(entry);
}
