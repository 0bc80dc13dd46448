// Messages of rtnetlink as a dump gives them, kept one behind the other, and made into requests again. They may have come from another host: whatever the
// bytes are, nothing beyond them is read.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "netlink_message.h"

namespace drover {

struct RouteAttribute {
  /** Without and with the flags of nesting and byte order. */
  uint16_t type = 0, rawType = 0;
  std::string_view data;

  /** 0 if it is none. */
  uint32_t number() const;
  /** Up to the first NUL. */
  std::string text() const;
};

std::vector<RouteAttribute> routeAttributes(std::string_view bytes);

class RouteMessage {
 public:
  explicit RouteMessage(std::string_view bytes) : bytes_(bytes) {}
  uint16_t type() const;
  /** The fixed part (ifinfomsg, rtmsg, …), zeros where the message is too short. */
  template <class T>
  T header() const {
    T value{};
    if (bytes_.size() >= NLMSG_HDRLEN + sizeof value) memcpy(&value, bytes_.data() + NLMSG_HDRLEN, sizeof value);
    return value;
  }
  template <class T>
  std::vector<RouteAttribute> attributes() const {
    constexpr size_t start = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(T));
    return bytes_.size() <= start ? std::vector<RouteAttribute>() : routeAttributes(bytes_.substr(start));
  }
  /** None: it has no such one. */
  template <class T>
  std::optional<RouteAttribute> attribute(uint16_t type) const {
    for (const auto& each : attributes<T>())
      if (each.type == type) return each;
    return std::nullopt;
  }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

/** Of what `dumpRoutes` gave. */
std::vector<RouteMessage> splitMessages(std::string_view dump);
/** All answers that `wanted` lets through. */
template <class T>
Result<std::string> dumpRoutes(NetlinkSocket& netlink, uint16_t type, const T& header, const std::function<bool(const RouteMessage&)>& wanted);

/** A copy of a message's attributes in a request; these are left out. */
void copyAttributes(NetlinkMessage& request, const std::vector<RouteAttribute>& attributes, const std::set<uint16_t>& leftOut);

/** Not from templates: see dumpRoutes. */
Result<std::string> collectAnswers(NetlinkSocket& netlink, NetlinkMessage& request, const std::function<bool(const RouteMessage&)>& wanted);

template <class T>
Result<std::string> dumpRoutes(NetlinkSocket& netlink, uint16_t type, const T& header, const std::function<bool(const RouteMessage&)>& wanted) {
  NetlinkMessage request(type, NLM_F_DUMP);
  request.header(header);
  return collectAnswers(netlink, request, wanted);
}

}  // namespace drover
