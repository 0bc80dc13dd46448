// See x_tables_dump.h; the kernel's include/uapi/linux/netfilter/x_tables.h.
#include "x_tables_dump.h"

#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace drover {
namespace {

constexpr std::string_view knownTables[] = {"raw", "mangle", "nat", "filter", "security"};

/** False: entries are not one behind the other, up to the end. */
bool findCounters(const XTableFamily& family, XTable& table) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < table.head.entryCount; ++i) {
    if (table.entries.size() - at < family.entrySize) return false;
    uint16_t length;
    memcpy(&length, table.entries.data() + at + family.nextOffset, sizeof length);
    if (length < family.entrySize || length > table.entries.size() - at) return false;
    table.counters.push_back(at + family.counters);
    at += length;
  }
  return at == table.entries.size();
}

}  // namespace

bool isXTable(std::string_view name) { return std::find(std::begin(knownTables), std::end(knownTables), name) != std::end(knownTables); }

const std::vector<XTableFamily>& xTableFamilies() {
  static const std::vector<XTableFamily> families = {
      {AF_INET, SOL_IP, "iptables", "ip_tables_names", sizeof(ipt_entry), offsetof(ipt_entry, next_offset), offsetof(ipt_entry, counters)},
      {AF_INET6, SOL_IPV6, "ip6tables", "ip6_tables_names", sizeof(ip6t_entry), offsetof(ip6t_entry, next_offset), offsetof(ip6t_entry, counters)},
  };
  return families;
}

const XTableFamily* xTableFamilyOf(uint32_t domain) {
  const auto& families = xTableFamilies();
  auto found = std::find_if(families.begin(), families.end(), [&](const XTableFamily& each) { return each.domain == domain; });
  return found == families.end() ? nullptr : &*found;
}

std::optional<std::vector<XTable>> splitXTables(std::string_view dump) {
  std::vector<XTable> tables;
  while (!dump.empty()) {
    XTable table;
    if (dump.size() < sizeof table.head) return {};
    memcpy(&table.head, dump.data(), sizeof table.head);
    dump.remove_prefix(sizeof table.head);
    const XTableFamily* family = xTableFamilyOf(table.head.family);
    if (!family || table.head.size > largestXTable || table.head.size > dump.size()) return {};
    const std::string_view name(table.head.name, strnlen(table.head.name, sizeof table.head.name));
    if (!isXTable(name)) return {};
    table.entries = dump.substr(0, table.head.size);
    dump.remove_prefix(table.head.size);
    if (!findCounters(*family, table)) return {};
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace drover
