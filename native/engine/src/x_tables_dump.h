// The tables of legacy iptables one behind the other, as x_tables_state.h carries them. No effects.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace drover {

/** No other name leaves or enters: the kernel would look for a module of that name. */
bool isXTable(std::string_view name);
constexpr uint32_t largestXTable = 16 << 20;

/** The two families' options, and all structures but an entry, are the same. */
struct XTableFamily {
  uint32_t domain;
  int level;
  const char *shown, *names;
  uint32_t entrySize, nextOffset, counters;
};
const std::vector<XTableFamily>& xTableFamilies();
/** Null: there is none of this number. */
const XTableFamily* xTableFamilyOf(uint32_t domain);

/** In front of each table's entries in a dump. After the family, what the kernel says of a table (ipt_getinfo). */
struct XTableHead {
  uint32_t family;
  char name[32];
  uint32_t validHooks, hookEntry[5], underflow[5], entryCount, size;
};

struct XTable {
  XTableHead head;
  /** A view into the dump. */
  std::string_view entries;
  /** Where in `entries` each one's packet and byte counters are. */
  std::vector<uint32_t> counters;
};

/** Nothing: it is not a dump. Entries lie one behind the other; what is in them, the kernel checks. */
std::optional<std::vector<XTable>> splitXTables(std::string_view dump);

}  // namespace drover
