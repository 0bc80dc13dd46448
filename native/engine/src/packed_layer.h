// The file in which a small writable layer goes from engine to engine (small_layer.h), as text from and to entries. No effects.
//
// A magic number; then of each entry eleven numbers (PackedEntry::Field), its path, its extended attributes (two lengths, name, value) and its content.
// Numbers are little-endian and have 64 bits. Parents come before their children, the first name of a file before its others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.h"

namespace drover {

constexpr size_t mostPackedEntries = 2'000;
constexpr size_t mostPackedBytes = 8 << 20;

struct PackedEntry {
  enum Field { pathLength, mode, uid, gid, seconds, nanoseconds, device, otherName, hasHoles, attributeCount, contentLength, fields };
  /** `otherName`: 0, or the number of the entry, from 1 on, that is the same file; then nothing else of it is told. */
  std::array<uint64_t, fields> head{};
  /** Of the root "."; else relative to it, never out of it. */
  std::string path;
  /** Of a file what is in it, of a symbolic link where it leads. */
  std::string content;
  std::vector<std::pair<std::string, std::string>> attributes;
};

/** What a packed layer without entries is. */
std::string emptyPackedLayer();
/** Lengths and counts in its head are set. */
void appendPackedEntry(std::string& to, PackedEntry& entry);
/** Checked whole: what is too large, is cut off, leads out of the root, or names a file that hasn't come, is TRANSFER_FAILED. */
Result<std::vector<PackedEntry>> parsePackedLayer(std::string_view text);

}  // namespace drover
