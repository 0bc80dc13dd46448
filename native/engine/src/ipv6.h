// The IPv6 address of a container: given to its eth0, and announced when the container has come to another host.
#pragma once

#include <cstdint>
#include <string>

#include "error.h"
#include "netlink_message.h"

namespace drover {

/**
 * Without duplicate address detection: the cluster gave the address out once, and a tentative one would not carry the restored
 * connections. A kernel without IPv6 is no error.
 */
Status addAddress6(NetlinkSocket& inside, int index, const std::string& addressWithPrefix);
/** The link-local address that the kernel makes of a MAC (RFC 4291, appendix A), with its prefix. */
std::string linkLocalOf(const uint8_t (&mac)[6]);
/** Sends an unsolicited neighbour advertisement (RFC 4861, 7.2.6) to all nodes through a packet socket of the container. */
Status announce6(int packetSocket, int index, const uint8_t (&mac)[6], const std::string& addressWithPrefix);

}  // namespace drover
