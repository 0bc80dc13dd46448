// What comes from another host of a container's network: messages of rtnetlink, tables of iptables and nftables, connections, options of sockets.
#include "conntrack_message.h"
#include "nf_tables_message.h"
#include "route_messages.h"
#include "socket_option_list.h"
#include "target.h"
#include "x_tables_dump.h"

using namespace drover;

namespace {

bool isWithin(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void runRouteMessages(std::string_view input) {
  size_t bytes = 0;
  for (const RouteMessage& message : splitMessages(input)) {
    bytes += message.bytes().size();
    for (const auto& attribute : message.attributes<ifinfomsg>()) {
      must(isWithin(attribute.data, message.bytes()), "an attribute is in its message");
      must(attribute.text().size() <= attribute.data.size(), "a name is in its attribute");
    }
  }
  must(bytes <= input.size(), "messages don't overlap");
}

void runNfTables(std::string_view input) {
  if (auto messages = splitNfTables(input))
    for (std::string_view message : *messages) {
      // What is told, or has come from another host.
      auto renewed = nfTablesRenewal(message, 1);
      must(renewed && splitNfTables(*renewed).value_or(std::vector<std::string_view>()).size() == 1, "what is made of one message is one");
    }
  nfTablesRenewal(input, 1);
}

void runConnections(std::string_view input) {
  if (auto messages = splitConntrack(input))
    for (std::string_view message : *messages) must(isWithin(message, input), "a message is in its dump");
  conntrackRenewal(input);
}

void runXTables(std::string_view input) {
  auto tables = splitXTables(input);
  if (!tables) return;
  for (const XTable& table : *tables) {
    must(isWithin(table.entries, input) && table.counters.size() == table.head.entryCount, "a table has its entries");
    for (uint32_t at : table.counters) must(at + 16 <= table.entries.size(), "counters are in the entries");
  }
}

/** What is accepted comes back from its own words. */
void runSocketOptions(std::string_view input) {
  auto options = parseSocketOptions(input);
  if (!options) return;
  auto again = parseSocketOptions(formatSocketOptions(*options));
  must(again && again->size() == options->size(), "options come back");
  for (size_t at = 0; at < options->size(); at++)
    must((*again)[at].value == (*options)[at].value && (*again)[at].level == (*options)[at].level && (*again)[at].name == (*options)[at].name, "as they were");
}

const Registered registeredRoutes("route-messages", runRouteMessages), registeredNf("nf-tables", runNfTables);
const Registered registeredConnections("connections", runConnections), registeredX("x-tables", runXTables);
const Registered registeredOptions("socket-options", runSocketOptions);

}  // namespace
