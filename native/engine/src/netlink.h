// Network by rtnetlink, without running anything: one veth pair per container. The host's end is `dv<serial>` in the
// engine's network namespace, the container's end `eth0` is made straight in the container's network namespace.
// All calls are good from any thread; a thread that must open a socket in another namespace returns to its own.
#pragma once

#include <sys/types.h>

#include <string>

#include "error.h"
#include "spec.h"
#include "unique_fd.h"

namespace drover {

/** A link of a container beside eth0: a veth pair between it and a bridge. */
struct Nic {
  std::string hostName;
  /** In the container. */
  std::string name;
  std::string mac;
  /** Address with prefix length; empty: the container sees to it. */
  std::string ipv4;
  /** No IPv6 address by itself, not even a link-local one. */
  bool unnumbered6 = false;
  /** As ipv4. */
  std::string ipv6 = {};
  /** 0: the kernel's. Of both ends. */
  uint32_t mtu = 0, queueLength = 0;
  /**
   * Given out by the cluster, so that nobody else has its link-local address: it is there at once. Found out by asking, it came a second later, and the
   * questions and reports of before and after went to every container of the bridge, at every start and move.
   */
  bool uniqueMac = false;
};
bool linkExists(const std::string& name);
/** On no bridge yet. */
Status createLink(int networkNamespace, const Nic& nic);
Status attachLink(const std::string& name, const std::string& bridge);
/** Off its bridge. */
Status detachLink(const std::string& name);
/** A veth pair with both ends here; down, and on no bridge. */
Status createPair(const std::string& one, const std::string& other);
/** Without an IPv6 address that nobody gave it. */
Status bringUpUnnumbered(const std::string& name);
/** None there is no error. */
Status destroyLink(const std::string& name);

std::string vethName(const Identity& identity);
/** Makes the pair with MAC, addresses and sizes, lo and eth0 up, default route if any; the host's end is up but on no bridge. */
Status createVeth(int networkNamespace, const Spec& spec);
/** As it runs: sizes of both ends, where they are other than before. */
Status resizeVeth(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits);
/**
 * Drops what eth0 inside learnt, or failed to learn, of its neighbours. A question asked while no bridge carried it would be
 * repeated only after a second, and hold back every packet till then.
 */
Status forgetNeighbours(int networkNamespace, const Identity& identity);
/**
 * Gratuitous ARP and unsolicited neighbour advertisement from inside the container's network namespace. They go to every
 * container of the bridge. The socket that sent it: to close one of this kind waits for a grace period of the kernel, 5 to 15 ms.
 */
Result<UniqueFd> announce(int networkNamespace, const Identity& identity);
/** /proc/<pid>/ns/net */
Result<UniqueFd> openNetworkNamespace(pid_t pid);

}  // namespace drover
