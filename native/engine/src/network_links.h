// The links of a container's network namespace: those that were made inside (bridges, VLANs, pairs of veth and the like), and what was set of those
// that the engine makes. As rtnetlink tells of them at the source, so they are made at the destination, with the same indices where these are free.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "netlink_message.h"
#include "spec.h"

namespace drover {

/** RTM_NEWLINK messages of all links. */
Result<std::string> dumpLinks(NetlinkSocket& inside);
/** Nothing was made or set inside: lo and eth0 are as the engine makes them. */
bool areLinksAsMade(std::string_view links, const Spec& spec);
/** A link inside that can't be made elsewhere, since what it is isn't all there to be read: `tun0 (tun)`; empty: there is none. */
std::string unmovableLink(std::string_view links, const Spec& spec);

/** Those with a queueing discipline of their own, which stays behind: `eth0 (htb)`. */
std::vector<std::string> shapedLinks(std::string_view links, const Spec& spec);

/** Makes those that are not there yet, and sets of all what is other than there. */
Status restoreLinks(NetlinkSocket& inside, std::string_view links);

/** Indices of the source's links as they are at the destination, by name. */
class LinkIndices {
 public:
  static Result<LinkIndices> match(NetlinkSocket& inside, std::string_view links);
  /** 0: there is none of that name. */
  int here(int there) const;

 private:
  std::map<int, int> here_;
};

}  // namespace drover
