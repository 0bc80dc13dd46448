// The program that lets only packets with a container's own addresses pass: one for all containers of an engine, which looks them up by the
// interface that took the packet in.
#pragma once

#include <cstdint>

#include "bpf.h"

namespace drover {

/** An entry of the map that the program reads; all numbers as the processor has them. */
struct AllowedAddresses {
  /** Two and four bytes of the MAC address. */
  uint32_t macHead = 0, macTail = 0;
  uint32_t ipv4 = 0;
  uint32_t hasIpv6 = 0;
  uint32_t ipv6[4] = {};
};

/** `addresses`: a map of AllowedAddresses by the number of the interface (uint32_t). Who is not in it may send nothing. */
BpfProgram addressProgram(int addresses);

}  // namespace drover
