// See address_filter.h; tc-bpf(8); RFC 826 (ARP), RFC 4861 (neighbours), RFC 6980 (they are not fragmented), RFC 3810 (multicast listeners).
#include "address_filter.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "bpf.h"
#include "log.h"
#include "netlink.h"
#include "netlink_message.h"

namespace drover {

namespace {

enum Label { pass, drop, arp, ipv4, ipv6, ipv6Own, ipv6Payload, hopByHop, advertisement, advertisedOwn, icmp };

/** Offsets in the frame. */
constexpr int sourceMac = 6, etherType = 12, ipv4Version = 14, ipv4Protocol = 23, ipv4Source = 26, ipv4UdpTarget = 36;
constexpr int arpSenderMac = 22, arpSender = 28, ipv6Next = 20, ipv6Source = 22, ipv6Behind = 54, ipv6BehindOptions = 62, advertisedTarget = 62;
constexpr uint32_t arpFrame = 42, ipv4Frame = 34, ipv6Frame = 62, advertisementFrame = 78;
constexpr uint32_t dhcpServer = 67, linkLocal = 0xfe80, linkLocalMask = 0xffc0;
constexpr uint32_t routerAdvertisement = 134, neighbourAdvertisement = 136, redirection = 137;

/** To register 0, in the host's order; a frame that is too short for it ends the program with 0, which passes: its length is checked first. */
void field(BpfProgram& program, uint8_t size, int offset) { program.add(static_cast<uint8_t>(BPF_LD | BPF_ABS | size), 0, 0, 0, offset); }

void unlessEqual(BpfProgram& program, uint8_t size, int offset, uint32_t value, int label) {
  field(program, size, offset);
  program.jumpIf(BPF_JNE, BPF_REG_0, value, label);
}

void unlessLongEnough(BpfProgram& program, uint32_t bytes) { program.jumpIf(BPF_JLT, BPF_REG_7, bytes, drop); }

void unlessMac(BpfProgram& program, int offset, const uint8_t* mac) {
  unlessEqual(program, BPF_H, offset, static_cast<uint32_t>(mac[0] << 8 | mac[1]), drop);
  unlessEqual(program, BPF_W, offset + 2, static_cast<uint32_t>(mac[2]) << 24 | static_cast<uint32_t>(mac[3] << 16 | mac[4] << 8 | mac[5]), drop);
}

/** Goes on where the address is not this one. */
void ifAddress6(BpfProgram& program, int offset, const in6_addr& address, int label, int next) {
  for (int word = 0; word < 4; ++word) {
    uint32_t value;
    memcpy(&value, address.s6_addr + word * 4, 4);
    unlessEqual(program, BPF_W, offset + word * 4, ntohl(value), next);
  }
  program.jump(label);
  program.label(next);
}

void ifLinkLocal(BpfProgram& program, int offset, int label) {
  field(program, BPF_H, offset);
  program.add(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, linkLocalMask);
  program.jumpIf(BPF_JEQ, BPF_REG_0, linkLocal, label);
}

void addIpv6(BpfProgram& program, const in6_addr& own) {
  // Labels of places where one comparison gives way to the next.
  enum { notOwn = 100, notUnspecified, notOwnTarget };
  unlessLongEnough(program, ipv6Frame);
  ifAddress6(program, ipv6Source, own, ipv6Payload, notOwn);
  ifLinkLocal(program, ipv6Source, ipv6Payload);
  ifAddress6(program, ipv6Source, in6addr_any, ipv6Payload, notUnspecified);
  program.jump(drop);
  program.label(ipv6Payload);
  field(program, BPF_B, ipv6Next);
  program.jumpIf(BPF_JEQ, BPF_REG_0, IPPROTO_ICMPV6, icmp);
  program.jumpIf(BPF_JEQ, BPF_REG_0, IPPROTO_HOPOPTS, hopByHop);
  // Behind these an advertisement could hide, and nothing else that anybody sends has them.
  program.jumpIf(BPF_JEQ, BPF_REG_0, IPPROTO_ROUTING, drop);
  program.jumpIf(BPF_JEQ, BPF_REG_0, IPPROTO_DSTOPTS, drop);
  program.jump(pass);
  program.label(hopByHop);
  // Reports of multicast listeners: eight bytes of options, then ICMPv6, and none of the kinds that are about neighbours.
  unlessEqual(program, BPF_B, ipv6Behind, IPPROTO_ICMPV6, drop);
  unlessEqual(program, BPF_B, ipv6Behind + 1, 0, drop);
  unlessLongEnough(program, ipv6BehindOptions + 1);
  field(program, BPF_B, ipv6BehindOptions);
  program.jumpIf(BPF_JLT, BPF_REG_0, 133, pass);
  program.jumpIf(BPF_JGT, BPF_REG_0, redirection, pass);
  program.jump(drop);
  program.label(icmp);
  field(program, BPF_B, ipv6Behind);
  program.jumpIf(BPF_JEQ, BPF_REG_0, routerAdvertisement, drop);
  program.jumpIf(BPF_JEQ, BPF_REG_0, redirection, drop);
  program.jumpIf(BPF_JNE, BPF_REG_0, neighbourAdvertisement, pass);
  unlessLongEnough(program, advertisementFrame);
  ifAddress6(program, advertisedTarget, own, pass, notOwnTarget);
  ifLinkLocal(program, advertisedTarget, pass);
  program.jump(drop);
}

BpfProgram programFor(const Identity& identity) {
  uint8_t mac[6] = {};
  sscanf(identity.mac.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  in_addr address = {};
  inet_pton(AF_INET, identity.ipv4.substr(0, identity.ipv4.find('/')).c_str(), &address);
  const uint32_t own = ntohl(address.s_addr);

  BpfProgram program;
  program.copy(BPF_REG_6, BPF_REG_1);
  program.load(BPF_REG_7, BPF_REG_1, offsetof(__sk_buff, len));
  unlessLongEnough(program, ipv4Frame);
  program.load(BPF_REG_0, BPF_REG_1, offsetof(__sk_buff, vlan_present));
  program.jumpIf(BPF_JNE, BPF_REG_0, 0, drop);
  unlessMac(program, sourceMac, mac);
  field(program, BPF_H, etherType);
  program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_IP, ipv4);
  program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_ARP, arp);
  if (identity.ipv6) program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_IPV6, ipv6);
  program.jump(drop);

  program.label(ipv4);
  field(program, BPF_W, ipv4Source);
  program.jumpIf(BPF_JEQ, BPF_REG_0, own, pass);
  program.jumpIf(BPF_JNE, BPF_REG_0, 0, drop);
  // Without an address yet: a question to a DHCP server.
  unlessLongEnough(program, ipv4UdpTarget + 2);
  unlessEqual(program, BPF_B, ipv4Version, 0x45, drop);
  unlessEqual(program, BPF_B, ipv4Protocol, IPPROTO_UDP, drop);
  unlessEqual(program, BPF_H, ipv4UdpTarget, dhcpServer, drop);
  program.jump(pass);

  program.label(arp);
  unlessLongEnough(program, arpFrame);
  unlessMac(program, arpSenderMac, mac);
  field(program, BPF_W, arpSender);
  program.jumpIf(BPF_JEQ, BPF_REG_0, own, pass);
  // A probe whether an address is free.
  program.jumpIf(BPF_JEQ, BPF_REG_0, 0, pass);
  program.jump(drop);

  if (identity.ipv6) {
    in6_addr own6 = {};
    inet_pton(AF_INET6, identity.ipv6->substr(0, identity.ipv6->find('/')).c_str(), &own6);
    program.label(ipv6);
    addIpv6(program, own6);
  }
  program.label(drop);
  program.leave(TC_ACT_SHOT);
  program.label(pass);
  program.leave(TC_ACT_OK);
  return program;
}

Status attach(const std::string& link, int program) {
  const int index = static_cast<int>(if_nametoindex(link.c_str()));
  if (index == 0) return errnoError("find " + link);
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_parent = TC_H_CLSACT;
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  NetlinkMessage queue(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  queue.header(header);
  queue.attribute(TCA_KIND, std::string("clsact"));
  if (int result = netlink.request(queue); result != 0 && result != EEXIST) return errnoError("prepare the filter of " + link, result);

  header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  header.tcm_handle = 1;
  header.tcm_info = TC_H_MAKE(1 << 16, htons(ETH_P_ALL));
  NetlinkMessage filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE);
  filter.header(header);
  filter.attribute(TCA_KIND, std::string("bpf"));
  size_t options = filter.open(TCA_OPTIONS);
  filter.attribute(TCA_BPF_FD, static_cast<uint32_t>(program));
  filter.attribute(TCA_BPF_NAME, std::string("drover-addresses"));
  filter.attribute(TCA_BPF_FLAGS, static_cast<uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
  filter.close(options);
  int result = netlink.request(filter);
  return result == 0 ? Status() : errnoError("filter what leaves by " + link, result);
}

}  // namespace

Status filterAddresses(const Identity& identity) {
  auto program = programFor(identity).loadAs(BPF_PROG_TYPE_SCHED_CLS, "drover_address");
  if (!program.ok() && (errno == EPERM || errno == ENOSYS)) {
    static std::once_flag told;
    std::call_once(told, [&] { logLine("warn", "addresses of containers are not filtered: this host does not let us " + program.error().message); });
    return {};
  }
  Status attached = program.ok() ? attach(vethName(identity), program.value().get()) : Status(program.error());
  return attached;
}

}  // namespace drover
