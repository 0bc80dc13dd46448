// What the kernel tells of nftables (tables, chains, sets, their elements, objects, flow tables, rules) made into the messages that make the same anew in
// another namespace: without the numbers that the kernel gives, and with what it asks for but doesn't tell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/** Of one message of a dump; nothing: there is none to be made of it. `setId` is another for each message. No effects. */
std::optional<std::string> nfTablesRenewal(std::string_view told, uint32_t setId);

/** The messages of a dump, each of which makes something; nothing: it is not a dump. No effects. */
std::optional<std::vector<std::string_view>> splitNfTables(std::string_view dump);

}  // namespace drover
