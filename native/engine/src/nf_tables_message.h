// What the kernel tells of nftables (tables, objects, flow tables, chains, sets, their elements, rules) made into messages that make the same anew in another
// namespace: without the numbers that the kernel gives. See nf_tables_expression.h for what rules consist of. No effects; fuzzed as `nf-tables`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/** Of one message of a dump; nothing: there is none to be made of it. `setId` is another for each set. */
std::optional<std::string> nfTablesRenewal(std::string_view told, uint32_t setId);

/** The messages of a dump, each of which makes something; nothing: it is not a dump. */
std::optional<std::vector<std::string_view>> splitNfTables(std::string_view dump);

/** For errors: `rule in filter/INPUT`, whatever the bytes are. */
std::string nfTablesSubject(std::string_view message);

}  // namespace drover
