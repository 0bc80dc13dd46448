// See socket_option_list.h, socket(7), ip(7), ipv6(7), tcp(7), udp(7), netlink(7).
#include "socket_option_list.h"

#include <linux/netlink.h>
#include <linux/udp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

#include "words.h"

namespace drover {
namespace {

constexpr int icmpFilter = 1;

bool isKnown(int level, int option) {
  return std::any_of(carriedSocketOptions().begin(), carriedSocketOptions().end(), [&](const SocketOptions& each) {
    return each.level == level && std::find(each.options.begin(), each.options.end(), option) != each.options.end();
  });
}

std::string hexOf(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char each : bytes) text += {digits[each >> 4], digits[each & 15]};
  return text;
}

std::optional<std::string> bytesOf(std::string_view hex) {
  auto digit = [](char each) { return each >= '0' && each <= '9' ? each - '0' : each >= 'a' && each <= 'f' ? each - 'a' + 10 : -1; };
  std::string bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) {
    const int high = digit(hex[at]), low = digit(hex[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return hex.size() % 2 == 0 ? std::optional(bytes) : std::nullopt;
}

std::optional<int> integer(std::string_view word) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() && value >= 0 ? std::optional(value) : std::nullopt;
}

}  // namespace

/**
 * In the order in which they are set: the type of service sets the priority as well. Those that CRIU carries are among them, and cost a look. Not among them: what
 * tells a state (TCP_QUICKACK, TCP_WINDOW_CLAMP), can't be set once bound (IPV6_V6ONLY), or can't be read back (IP_MULTICAST_IF by an index).
 */
const std::vector<SocketOptions>& carriedSocketOptions() {
  static const std::vector<SocketOptions> options = {
      {IPPROTO_IP, {IP_TOS,         IP_TTL,      IP_RECVOPTS, IP_RETOPTS, IP_PKTINFO,   IP_MTU_DISCOVER,  IP_RECVERR,        IP_RECVTTL,
                    IP_RECVTOS,     IP_FREEBIND, IP_PASSSEC,  IP_MINTTL,  IP_NODEFRAG,  IP_CHECKSUM,      IP_MULTICAST_TTL,  IP_MULTICAST_LOOP,
                    IP_MULTICAST_ALL, IP_HDRINCL, IP_RECVFRAGSIZE, IP_TRANSPARENT, IP_UNICAST_IF, IP_BIND_ADDRESS_NO_PORT, IP_RECVORIGDSTADDR}},
      {IPPROTO_IPV6, {IPV6_UNICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_RECVPKTINFO,
                      IPV6_RECVHOPLIMIT, IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS, IPV6_RECVPATHMTU, IPV6_DONTFRAG, IPV6_RECVTCLASS, IPV6_TCLASS,
                      IPV6_AUTOFLOWLABEL, IPV6_FREEBIND, IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR, IPV6_MINHOPCOUNT, IPV6_UNICAST_IF, IPV6_RECVFRAGSIZE,
                      IPV6_MULTICAST_ALL, IPV6_HDRINCL, IPV6_CHECKSUM}},
      {IPPROTO_TCP, {TCP_CONGESTION, TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_USER_TIMEOUT,
                     TCP_THIN_LINEAR_TIMEOUTS, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE, TCP_NOTSENT_LOWAT, TCP_SAVE_SYN, TCP_INQ, TCP_TX_DELAY}},
      {IPPROTO_UDP, {UDP_CORK, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX, UDP_SEGMENT, UDP_GRO}},
      {SOL_RAW, {icmpFilter}},
      {IPPROTO_ICMPV6, {ICMP6_FILTER}},
      {SOL_NETLINK, {NETLINK_PKTINFO, NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS, NETLINK_LISTEN_ALL_NSID, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK}},
      {SOL_SOCKET, {SO_PRIORITY, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE, SO_DONTROUTE, SO_NO_CHECK, SO_RCVLOWAT, SO_LINGER, SO_PASSCRED, SO_PASSSEC, SO_TIMESTAMP,
                    SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RXQ_OVFL, SO_PEEK_OFF, SO_SELECT_ERR_QUEUE, SO_BUSY_POLL, SO_MAX_PACING_RATE, SO_ZEROCOPY}},
  };
  return options;
}

std::string formatSocketOptions(const std::vector<SocketOption>& options) {
  std::string text;
  for (const SocketOption& each : options)
    text += std::to_string(each.process) + " " + std::to_string(each.descriptor) + " " + std::to_string(each.level) + " " + std::to_string(each.option) + " " +
            (each.name.empty() ? "-" : each.name) + " " + hexOf(each.value) + "\n";
  return text;
}

std::optional<std::vector<SocketOption>> parseSocketOptions(std::string_view text) {
  std::vector<SocketOption> options;
  for (std::string_view line : splitAt(text, '\n')) {
    const auto words = splitWords(line);
    if (words.empty()) continue;
    if (words.size() != 6) return std::nullopt;
    auto process = integer(words[0]), descriptor = integer(words[1]), level = integer(words[2]), option = integer(words[3]);
    auto value = bytesOf(words[5]);
    if (!process || !descriptor || !level || !option || !value) return std::nullopt;
    const bool isMembership = *option == MCAST_MSFILTER && (*level == IPPROTO_IP || *level == IPPROTO_IPV6);
    if (!isMembership && (!isKnown(*level, *option) || value->size() > longestSocketOption)) return std::nullopt;
    options.push_back({*process, *descriptor, *level, *option, words[4] == "-" ? "" : std::string(words[4]), *value});
  }
  return options;
}

}  // namespace drover
