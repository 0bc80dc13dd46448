// See bridge_port.h; the kernel's net/bridge/br_netlink.c, bridge(8).
#include "bridge_port.h"

#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstdint>

#include "netlink_message.h"

namespace drover {

namespace {

/** 0 or an errno. */
int setIsolation(NetlinkSocket& netlink, unsigned link, bool isolated) {
  NetlinkMessage message(RTM_SETLINK, 0);
  ifinfomsg head = {};
  head.ifi_family = AF_BRIDGE;
  head.ifi_index = static_cast<int>(link);
  message.header(head);
  const uint8_t value = isolated ? 1 : 0;
  size_t options = message.open(IFLA_PROTINFO | NLA_F_NESTED);
  message.attribute(IFLA_BRPORT_ISOLATED, &value, sizeof value);
  message.close(options);
  return netlink.request(message);
}

Status isolate(const std::string& link, bool isolated, int allowed) {
  const unsigned index = if_nametoindex(link.c_str());
  if (index == 0) return errnoError("find " + link);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  const int result = setIsolation(netlink, index, isolated);
  if (result == 0 || result == allowed) return {};
  return errnoError((isolated ? "isolate " + link + " from other ports" : "let " + link + " reach isolated ports"), result);
}

}  // namespace

Status isolatePort(const std::string& link, bool isolated) { return isolate(link, isolated, 0); }

// The kernel has nobody to ask when the link has no master (rtnl_bridge_setlink).
Status isolatePortIfAny(const std::string& link, bool isolated) { return isolate(link, isolated, EOPNOTSUPP); }

}  // namespace drover
