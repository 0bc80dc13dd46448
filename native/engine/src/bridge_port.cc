// See bridge_port.h; the kernel's net/bridge/br_netlink.c, bridge(8).
#include "bridge_port.h"

#include <linux/if_link.h>
#include <net/if.h>

#include <cstdint>

#include "netlink_message.h"

namespace drover {

Status isolatePort(const std::string& link) {
  NetlinkMessage message(RTM_SETLINK, 0);
  ifinfomsg head = {};
  head.ifi_family = AF_BRIDGE;
  head.ifi_index = static_cast<int>(if_nametoindex(link.c_str()));
  if (head.ifi_index == 0) return errnoError("find " + link);
  message.header(head);
  const uint8_t yes = 1;
  size_t options = message.open(IFLA_PROTINFO | NLA_F_NESTED);
  message.attribute(IFLA_BRPORT_ISOLATED, &yes, sizeof yes);
  message.close(options);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  int result = netlink.request(message);
  return result == 0 ? Status() : Status(errnoError("isolate " + link + " from other ports", result));
}

}  // namespace drover
