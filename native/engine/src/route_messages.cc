// See route_messages.h, rtnetlink(7).
#include "route_messages.h"

namespace drover {
namespace {

constexpr size_t mostBytes = 64 << 20;
constexpr int attempts = 5;

}  // namespace

uint32_t RouteAttribute::number() const {
  uint32_t value = 0;
  if (data.size() >= sizeof value) memcpy(&value, data.data(), sizeof value);
  return value;
}

std::string RouteAttribute::text() const { return std::string(data.substr(0, data.find('\0'))); }

std::vector<RouteAttribute> routeAttributes(std::string_view bytes) {
  std::vector<RouteAttribute> found;
  for (rtattr head; bytes.size() >= sizeof head;) {
    memcpy(&head, bytes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) break;
    found.push_back({static_cast<uint16_t>(head.rta_type & NLA_TYPE_MASK), head.rta_type, bytes.substr(sizeof head, head.rta_len - sizeof head)});
    bytes.remove_prefix(std::min<size_t>(RTA_ALIGN(head.rta_len), bytes.size()));
  }
  return found;
}

uint16_t RouteMessage::type() const {
  nlmsghdr head{};
  if (bytes_.size() >= sizeof head) memcpy(&head, bytes_.data(), sizeof head);
  return head.nlmsg_type;
}

std::vector<RouteMessage> splitMessages(std::string_view dump) {
  std::vector<RouteMessage> messages;
  for (nlmsghdr head; dump.size() >= sizeof head;) {
    memcpy(&head, dump.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > dump.size()) break;
    messages.emplace_back(dump.substr(0, head.nlmsg_len));
    dump.remove_prefix(std::min<size_t>(NLMSG_ALIGN(static_cast<size_t>(head.nlmsg_len)), dump.size()));
  }
  return messages;
}

Result<std::string> collectAnswers(NetlinkSocket& netlink, NetlinkMessage& request, const std::function<bool(const RouteMessage&)>& wanted) {
  for (int attempt = 0; attempt < attempts; attempt++) {
    std::string answers;
    bool interrupted = false;
    const int number = netlink.dump(request, [&](const nlmsghdr& head) {
      const RouteMessage message(std::string_view(reinterpret_cast<const char*>(&head), head.nlmsg_len));
      interrupted = interrupted || (head.nlmsg_flags & NLM_F_DUMP_INTR);
      if (answers.size() > mostBytes || !wanted(message)) return;
      answers.append(message.bytes());
      answers.resize(NLMSG_ALIGN(answers.size()));
    });
    if (number != 0) return errnoError("list the network of the container", number);
    if (answers.size() > mostBytes) return engineError("list the network of the container: over " + std::to_string(mostBytes) + " bytes");
    if (!interrupted) return answers;
  }
  return engineError("list the network of the container: it changes all the time");
}

void copyAttributes(NetlinkMessage& request, const std::vector<RouteAttribute>& attributes, const std::set<uint16_t>& leftOut) {
  for (const auto& each : attributes)
    if (!leftOut.contains(each.type)) request.attribute(each.rawType, each.data.data(), each.data.size());
}

}  // namespace drover
