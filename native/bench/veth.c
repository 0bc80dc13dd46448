// The shortest way to a veth pair by rtnetlink(7): one message makes both ends, names them, puts one on its bridge and the other into
// its namespace.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench-tool.h"

struct Message {
  struct nlmsghdr head;
  struct ifinfomsg link;
  char attributes[512];
};

static struct rtattr* add(struct Message* message, unsigned short type, const void* data, size_t size) {
  struct rtattr* attribute = (struct rtattr*)((char*)message + message->head.nlmsg_len);
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(size);
  if (size > 0) memcpy(RTA_DATA(attribute), data, size);
  message->head.nlmsg_len += RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void end(struct Message* message, struct rtattr* nest) {
  nest->rta_len = (unsigned short)((char*)message + message->head.nlmsg_len - (char*)nest);
}

void makeVeth(const char* name, int bridge, int pid) {
  struct Message message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_NEWLINK,
                                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
                            .link = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}};
  const struct ifinfomsg peer = {.ifi_family = AF_UNSPEC};
  add(&message, IFLA_IFNAME, name, strlen(name) + 1);
  add(&message, IFLA_MASTER, &bridge, sizeof bridge);
  struct rtattr* info = add(&message, IFLA_LINKINFO, NULL, 0);
  add(&message, IFLA_INFO_KIND, "veth", 5);
  struct rtattr* data = add(&message, IFLA_INFO_DATA, NULL, 0);
  struct rtattr* other = add(&message, VETH_INFO_PEER, &peer, sizeof peer);
  add(&message, IFLA_IFNAME, "eth0", 5);
  add(&message, IFLA_NET_NS_PID, &pid, sizeof pid);
  end(&message, other);
  end(&message, data);
  end(&message, info);
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct {
    struct nlmsghdr head;
    struct nlmsgerr error;
    char rest[1024];
  } answer;
  if (netlink < 0 || send(netlink, &message, message.head.nlmsg_len, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) < 0) fail("make veth");
  if (answer.error.error != 0) errno = -answer.error.error, fail("make veth");
  close(netlink);
}

void bringUp(const char* name, const char* address) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (any < 0) fail("make a socket");
  if (address) {
    struct sockaddr_in* internet = (struct sockaddr_in*)&request.ifr_addr;
    internet->sin_family = AF_INET;
    inet_pton(AF_INET, address, &internet->sin_addr);
    if (ioctl(any, SIOCSIFADDR, &request) != 0) fail("set address");
    inet_pton(AF_INET, "255.255.0.0", &internet->sin_addr);
    if (ioctl(any, SIOCSIFNETMASK, &request) != 0) fail("set mask");
  }
  request.ifr_flags = IFF_UP;
  if (ioctl(any, SIOCSIFFLAGS, &request) != 0) fail("bring up");
  close(any);
}
