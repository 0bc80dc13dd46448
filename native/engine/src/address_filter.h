// Only packets with a container's own addresses leave it: what its host's end of the veth takes in is dropped when MAC, IPv4, IPv6, ARP or
// neighbour advertisement claim to be another's, and router advertisements with them. An eBPF program per veth, with the addresses in
// it, so that nothing is looked up and nothing is left when the veth goes. A host that lets its engine load no program goes without, and says so.
#pragma once

#include "error.h"
#include "spec.h"

namespace drover {

/** On the veth of createVeth, before it is on a bridge. */
Status filterAddresses(const Identity& identity);

}  // namespace drover
