// Bytes that the raft addon reads itself: what a connection begins with, log entries, snapshots, addresses.
#include "address.h"
#include "entry-format.h"
#include "handshake.h"
#include "state-history.h"
#include "target.h"

namespace {

void runHandshake(std::string_view input) {
  Token token{};
  token.fill(7);
  const std::vector<Member> members = {{1, "10.0.0.1:7000"}, {2, "[::1]:7000"}};
  HandshakeRecord record{};
  std::memcpy(record.data(), input.data(), std::min(input.size(), record.size()));
  if (const Member *member = checkHandshake(record, token, members)) {
    must(std::memcmp(record.data() + 16, token.data(), token.size()) == 0, "a member knows the secret");
    const auto own = encodeHandshake(*member, token);
    must(checkHandshake(own, token, members) == member, "a member is known by its own record");
  }
}

void runEntry(std::string_view input) {
  // libraft aligns entries.
  const Bytes aligned(input.begin(), input.end());
  if (auto entry = readEntry(aligned.data(), aligned.size())) must(entry->bytes->size() + kEntryHeader <= input.size(), "an entry is a part of the log's");
}

void runSnapshot(std::string_view input) {
  StateHistory history;
  if (!history.decode(input.data(), input.size()).empty()) return;
  const Bytes again = history.encode();
  must(again.size() <= input.size() && std::equal(again.begin(), again.end(), input.begin(), input.begin() + static_cast<std::ptrdiff_t>(again.size()),
                                                  [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }),
       "a snapshot that is read is written the same");
}

void runAddress(std::string_view input) {
  sockaddr_storage address{};
  if (parseAddress(std::string(input), &address)) must(address.ss_family == AF_INET || address.ss_family == AF_INET6, "an address has a family");
}

const Registered registeredHandshake("raft-handshake", runHandshake), registeredEntry("raft-entry", runEntry),
    registeredSnapshot("raft-snapshot", runSnapshot), registeredAddress("raft-address", runAddress);

}  // namespace
