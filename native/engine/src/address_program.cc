// See address_program.h; RFC 826 (ARP), RFC 4861 (neighbours), RFC 6980 (they are not fragmented), RFC 3810 (multicast listeners).
#include "address_program.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include <cstddef>

namespace drover {

namespace {

/** Registers: 6 the packet, 7 its length, 8 the container's addresses. */
enum Label { pass, drop, arp, ipv4, ipv6, ipv6Payload, hopByHop, icmp };

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

/** Compares with a word of the container's addresses. A field ends what registers 1 to 5 hold, so the word comes after it. */
void unlessOwn(BpfProgram& program, uint8_t size, int offset, size_t word, int label) {
  field(program, size, offset);
  program.load(BPF_REG_1, BPF_REG_8, static_cast<int16_t>(word));
  program.jumpIfRegister(BPF_JNE, BPF_REG_0, BPF_REG_1, label);
}

void unlessOwnMac(BpfProgram& program, int offset) {
  unlessOwn(program, BPF_H, offset, offsetof(AllowedAddresses, macHead), drop);
  unlessOwn(program, BPF_W, offset + 2, offsetof(AllowedAddresses, macTail), drop);
}

/** Passes its own address; goes on with the address in register 0. */
void ifOwnAddress4(BpfProgram& program, int offset) {
  field(program, BPF_W, offset);
  program.load(BPF_REG_1, BPF_REG_8, offsetof(AllowedAddresses, ipv4));
  program.jumpIfRegister(BPF_JEQ, BPF_REG_0, BPF_REG_1, pass);
}

/** Goes on where the address is not its own. */
void ifOwnAddress6(BpfProgram& program, int offset, int label, int next) {
  for (int word = 0; word < 4; ++word)
    unlessOwn(program, BPF_W, offset + word * 4, offsetof(AllowedAddresses, ipv6) + static_cast<size_t>(word) * 4, next);
  program.jump(label);
  program.label(next);
}

/** Goes on where it is an address. */
void ifNoAddress6(BpfProgram& program, int offset, int label, int next) {
  for (int word = 0; word < 4; ++word) unlessEqual(program, BPF_W, offset + word * 4, 0, next);
  program.jump(label);
  program.label(next);
}

void ifLinkLocal(BpfProgram& program, int offset, int label) {
  field(program, BPF_H, offset);
  program.add(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, linkLocalMask);
  program.jumpIf(BPF_JEQ, BPF_REG_0, linkLocal, label);
}

void addIpv6(BpfProgram& program) {
  // Labels of places where one comparison gives way to the next.
  enum { notOwn = 100, notUnspecified, notOwnTarget };
  unlessLongEnough(program, ipv6Frame);
  ifOwnAddress6(program, ipv6Source, ipv6Payload, notOwn);
  ifLinkLocal(program, ipv6Source, ipv6Payload);
  ifNoAddress6(program, ipv6Source, ipv6Payload, notUnspecified);
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
  ifOwnAddress6(program, advertisedTarget, pass, notOwnTarget);
  ifLinkLocal(program, advertisedTarget, pass);
  program.jump(drop);
}

}  // namespace

BpfProgram addressProgram(int addresses) {
  constexpr int16_t key = -static_cast<int16_t>(sizeof(uint32_t));
  BpfProgram program;
  program.copy(BPF_REG_6, BPF_REG_1);
  program.load(BPF_REG_7, BPF_REG_1, offsetof(__sk_buff, len));
  unlessLongEnough(program, ipv4Frame);
  program.load(BPF_REG_0, BPF_REG_1, offsetof(__sk_buff, vlan_present));
  program.jumpIf(BPF_JNE, BPF_REG_0, 0, drop);
  program.load(BPF_REG_0, BPF_REG_1, offsetof(__sk_buff, ifindex));
  program.add(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_0, key, 0);
  program.loadMap(BPF_REG_1, addresses);
  program.copy(BPF_REG_2, BPF_REG_10);
  program.add(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, key);
  program.call(BPF_FUNC_map_lookup_elem);
  program.jumpIfNull(BPF_REG_0, drop);
  program.copy(BPF_REG_8, BPF_REG_0);
  unlessOwnMac(program, sourceMac);
  field(program, BPF_H, etherType);
  program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_IP, ipv4);
  program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_ARP, arp);
  program.jumpIf(BPF_JEQ, BPF_REG_0, ETH_P_IPV6, ipv6);
  program.jump(drop);

  program.label(ipv4);
  ifOwnAddress4(program, ipv4Source);
  program.jumpIf(BPF_JNE, BPF_REG_0, 0, drop);
  // Without an address yet: a question to a DHCP server.
  unlessLongEnough(program, ipv4UdpTarget + 2);
  unlessEqual(program, BPF_B, ipv4Version, 0x45, drop);
  unlessEqual(program, BPF_B, ipv4Protocol, IPPROTO_UDP, drop);
  unlessEqual(program, BPF_H, ipv4UdpTarget, dhcpServer, drop);
  program.jump(pass);

  program.label(arp);
  unlessLongEnough(program, arpFrame);
  unlessOwnMac(program, arpSenderMac);
  ifOwnAddress4(program, arpSender);
  // A probe whether an address is free.
  program.jumpIf(BPF_JEQ, BPF_REG_0, 0, pass);
  program.jump(drop);

  program.label(ipv6);
  program.load(BPF_REG_0, BPF_REG_8, offsetof(AllowedAddresses, hasIpv6));
  program.jumpIf(BPF_JEQ, BPF_REG_0, 0, drop);
  addIpv6(program);
  program.label(drop);
  program.leave(TC_ACT_SHOT);
  program.label(pass);
  program.leave(TC_ACT_OK);
  return program;
}

}  // namespace drover
