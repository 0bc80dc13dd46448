// Token buckets by rtnetlink. See network_rate.h and tc-tbf(8).
#include "network_rate.h"

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "netlink.h"
#include "netlink_message.h"

namespace drover {

namespace {

/** What may pass at once: a fiftieth of a second, and never less than one large segment. */
constexpr uint64_t leastBurstBytes = 64 << 10;
constexpr uint64_t burstsPerSecond = 50;
/** What waits is held for a twentieth of a second at most. */
constexpr uint64_t queuesPerSecond = 20;
constexpr uint8_t ethernet = 1;

int interfaceIndex(int networkNamespace, const std::string& name) {
  auto socket = socketInside(networkNamespace, AF_INET, SOCK_DGRAM, 0);
  if (!socket.ok()) return 0;
  ifreq request = {};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name.c_str());
  return ioctl(socket.value().get(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

tcmsg rootOf(int index) {
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_parent = TC_H_ROOT;
  return header;
}

int removeBucket(NetlinkSocket& netlink, int index) {
  NetlinkMessage message(RTM_DELQDISC, 0);
  message.header(rootOf(index));
  int result = netlink.request(message);
  // None there: the device's own queue can't be removed.
  return result == ENOENT || result == EINVAL ? 0 : result;
}

int setBucket(NetlinkSocket& netlink, int index, int64_t bitsPerSecond) {
  uint64_t rate = std::max<uint64_t>(1, static_cast<uint64_t>(bitsPerSecond) / 8);
  uint32_t burst = static_cast<uint32_t>(std::min<uint64_t>(std::max(rate / burstsPerSecond, leastBurstBytes), 1U << 30));
  tc_tbf_qopt options = {};
  options.rate.linklayer = ethernet;
  options.rate.rate = static_cast<uint32_t>(std::min<uint64_t>(rate, UINT32_MAX));
  options.limit = static_cast<uint32_t>(std::min<uint64_t>(rate / queuesPerSecond + burst, UINT32_MAX));
  NetlinkMessage message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  tcmsg header = rootOf(index);
  header.tcm_handle = 1 << 16;
  message.header(header);
  message.attribute(TCA_KIND, std::string("tbf"));
  size_t nested = message.open(TCA_OPTIONS);
  message.attribute(TCA_TBF_PARMS, &options, sizeof options);
  message.attribute(TCA_TBF_BURST, burst);
  if (rate > UINT32_MAX) message.attribute(TCA_TBF_RATE64, &rate, sizeof rate);
  message.close(nested);
  return netlink.request(message);
}

Status limitEnd(int networkNamespace, const std::string& name, int64_t bitsPerSecond) {
  int index = interfaceIndex(networkNamespace, name);
  if (index == 0) return engineError("limit the network rate: there is no " + name);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(networkNamespace));
  int result = bitsPerSecond > 0 ? setBucket(netlink, index, bitsPerSecond) : removeBucket(netlink, index);
  if (result != 0) return errnoError("limit " + name + " to " + std::to_string(bitsPerSecond) + " bits per second", result);
  return {};
}

/** Each end limits what it sends: the host's end what comes to the container. */
int64_t ingressOf(const Limits& limits) { return limits.networkIngressBits > 0 ? limits.networkIngressBits : limits.networkBits; }
int64_t egressOf(const Limits& limits) { return limits.networkEgressBits > 0 ? limits.networkEgressBits : limits.networkBits; }

}  // namespace

Status limitNetwork(int networkNamespace, const Identity& identity, const Limits& limits) {
  return changeNetworkLimit(networkNamespace, identity, Limits(), limits);
}

Status changeNetworkLimit(int networkNamespace, const Identity& identity, const Limits& before, const Limits& limits) {
  if (ingressOf(before) != ingressOf(limits)) DROVER_TRY(limitEnd(-1, vethName(identity), ingressOf(limits)));
  return egressOf(before) == egressOf(limits) ? Status() : limitEnd(networkNamespace, "eth0", egressOf(limits));
}

}  // namespace drover
