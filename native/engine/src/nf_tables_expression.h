// Expressions, of which nftables' rules consist and which its sets may keep for each element: as the kernel tells them, made into what it takes. It tells
// some things that it refuses to be told, and forgets one that it asks for: the protocol that matches and targets of iptables-nft are checked against.
#pragma once

#include <cstdint>
#include <string_view>

#include "netlink_message.h"

namespace drover {

/** Of the first attribute of this type; empty: there is none. No allocation. */
std::string_view attributeIn(std::string_view attributes, uint16_t type);
/** A big-endian one, as all of nftables' are; 0: there is none. */
uint32_t networkNumber(std::string_view attribute);
void addNetworkNumber(NetlinkMessage& message, uint16_t type, uint32_t number);

/** One expression, as the kernel takes it. */
void addExpression(NetlinkMessage& message, uint16_t type, std::string_view expression);
/** A list of them. */
void addExpressions(NetlinkMessage& message, uint16_t type, std::string_view expressions);
/** Parameters of an expression, or of an object that does the same. */
void addParameters(NetlinkMessage& message, uint16_t type, std::string_view name, std::string_view parameters);

/** What a rule must say besides its expressions, if there are some of iptables among them. */
void addCompat(NetlinkMessage& message, uint8_t family, std::string_view expressions);

}  // namespace drover
