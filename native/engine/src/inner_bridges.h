// On which bridge a container's link is. The kernel goes through all ports of a bridge when one more comes (br_add_if: features, sizes,
// promiscuity, numbers), twelve percent of a start with a thousand there. So the host's bridge takes a few dozen, and the further
// ones go to inner bridges of as many, each joined to the host's by one veth pair; to containers it is one network. An inner bridge is
// made for its first link and goes after its last. What is where is asked of the kernel once, at the beginning.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "error.h"
#include "spec.h"

namespace drover {

class InnerBridges {
 public:
  explicit InnerBridges(std::string bridge) : bridge_(std::move(bridge)) {}

  /** Finds what an earlier engine left. */
  Status adopt();
  /** Removes those that nothing is on. */
  void removeEmpty();

  /** Puts the host's end of eth0 on a bridge, the one where it was if it can, and isolates it if it is to be. */
  Status attach(const Spec& spec);
  /** Takes it off: packets are then dropped, not refused. */
  Status detach(const Identity& identity);
  /** Removes the pair; none there is no error. May wait for the kernel to end an inner bridge. */
  Status destroy(const Identity& identity);
  /** As it runs: sizes of both ends and isolation, where they are other than before, and the bridge that goes with them. */
  Status change(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits);

 private:
  /** 0 stands for the host's bridge. */
  using Number = unsigned;

  std::string innerName(Number number) const;
  std::string uplinkName(Number number) const;
  std::string downlinkName(Number number) const;
  Number placeOf(const std::string& link) const;
  Number choose(const std::string& link, const Limits& limits) const;
  void note(const std::string& link, Number number);
  Status join(Number number);
  void remove(Number number);

  const std::string bridge_;
  std::mutex mutex_;
  /** The host's bridge has one index as long as it lives: names of ours that no other engine of this network namespace has. */
  unsigned index_ = 0;
  std::map<Number, std::set<std::string>> links_;
  /** Their number is not free yet. */
  std::set<Number> leaving_;
};

}  // namespace drover
