// Only packets with a container's own addresses leave it: what its host's end of the veth takes in is dropped when MAC, IPv4, IPv6, ARP or
// neighbour advertisement claim to be another's, and router advertisements with them. One eBPF program for all (a program takes pages of
// the kernel's), which looks the addresses up by the veth; nothing works on when the veth is gone. The veths share a block with it as its one
// filter: without a block for each, and without the grace period, with all network configuration of the host locked, that a program on the
// device itself (tcx) takes. A host that lets its engine load no program goes without, and says so.
#pragma once

#include "error.h"
#include "spec.h"

namespace drover {

/** On the veth of createVeth, before it is on a bridge. */
Status filterAddresses(const Identity& identity);

}  // namespace drover
