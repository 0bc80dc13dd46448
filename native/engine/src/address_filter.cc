// See address_filter.h; bpf(2), tc-bpf(8), tc(8) for blocks.
#include "address_filter.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

#include "address_program.h"
#include "bpf.h"
#include "log.h"
#include "netlink.h"
#include "netlink_message.h"

namespace drover {

namespace {

/** What a bridge has ports for. When so many have been entered, those of links that are gone leave; when none is gone, another map begins. */
constexpr uint32_t mostAddresses = 1024;
/** The one filter of a block. */
constexpr uint32_t filterHandle = 1, filterPriority = 1;

AllowedAddresses allowedOf(const Identity& identity) {
  AllowedAddresses allowed;
  uint8_t mac[6] = {};
  sscanf(identity.mac.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  allowed.macHead = static_cast<uint32_t>(mac[0] << 8 | mac[1]);
  allowed.macTail = static_cast<uint32_t>(mac[2]) << 24 | static_cast<uint32_t>(mac[3] << 16 | mac[4] << 8 | mac[5]);
  in_addr address = {};
  inet_pton(AF_INET, identity.ipv4.substr(0, identity.ipv4.find('/')).c_str(), &address);
  allowed.ipv4 = ntohl(address.s_addr);
  if (!identity.ipv6) return allowed;
  allowed.hasIpv6 = 1;
  in6_addr address6 = {};
  inet_pton(AF_INET6, identity.ipv6->substr(0, identity.ipv6->find('/')).c_str(), &address6);
  memcpy(allowed.ipv6, address6.s6_addr, sizeof allowed.ipv6);
  for (auto& word : allowed.ipv6) word = ntohl(word);
  return allowed;
}

/** The program with its map, for the containers that an engine starts; they live as long as a veth has them. */
class SharedProgram {
 public:
  struct Entry {
    UniqueFd program;
    uint32_t block;
  };

  /** Enters the addresses and gives the program that reads them, with its block. */
  Result<Entry> enter(uint32_t link, const AllowedAddresses& allowed) {
    std::lock_guard lock(mutex_);
    if (!program_.valid()) DROVER_TRY(begin());
    int failure = put(link, allowed);
    if (failure == E2BIG) {
      leaveGone();
      failure = put(link, allowed);
    }
    if (failure == E2BIG) {
      DROVER_TRY(begin());
      failure = put(link, allowed);
    }
    if (failure != 0) return errnoError("enter the addresses of a container", failure);
    UniqueFd program(fcntl(program_.get(), F_DUPFD_CLOEXEC, 0));
    if (!program.valid()) return errnoError("share the program drover_address");
    return Entry{std::move(program), block_};
  }

 private:
  Status begin() {
    // None that an earlier engine's devices are in: its program reads another map.
    uint32_t block = 0;
    while (block == 0)
      if (getrandom(&block, sizeof block, 0) != sizeof block) return errnoError("choose a block");
    bpf_attr attributes = {};
    attributes.map_type = BPF_MAP_TYPE_HASH;
    attributes.key_size = sizeof(uint32_t);
    attributes.value_size = sizeof(AllowedAddresses);
    attributes.max_entries = mostAddresses;
    attributes.map_flags = BPF_F_NO_PREALLOC;
    snprintf(attributes.map_name, sizeof attributes.map_name, "drover_address");
    UniqueFd map(bpf(BPF_MAP_CREATE, attributes));
    if (!map.valid()) return errnoError("make the map drover_address");
    DROVER_TRY_ASSIGN(program, addressProgram(map.get()).loadAs(BPF_PROG_TYPE_SCHED_CLS, "drover_address"));
    map_ = std::move(map);
    program_ = std::move(program);
    block_ = block;
    return {};
  }

  bpf_attr element(const uint32_t* link) const {
    bpf_attr attributes = {};
    attributes.map_fd = static_cast<uint32_t>(map_.get());
    attributes.key = reinterpret_cast<uint64_t>(link);
    return attributes;
  }

  int put(uint32_t link, const AllowedAddresses& allowed) const {
    bpf_attr attributes = element(&link);
    attributes.value = reinterpret_cast<uint64_t>(&allowed);
    return bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0 ? 0 : errno;
  }

  void leaveGone() const {
    std::vector<uint32_t> gone;
    uint32_t link = 0, next = 0;
    for (bool first = true;; first = false, link = next) {
      bpf_attr attributes = element(first ? nullptr : &link);
      attributes.next_key = reinterpret_cast<uint64_t>(&next);
      if (bpf(BPF_MAP_GET_NEXT_KEY, attributes) != 0) break;
      char name[IF_NAMESIZE];
      if (!if_indextoname(next, name)) gone.push_back(next);
    }
    for (uint32_t one : gone) {
      bpf_attr attributes = element(&one);
      bpf(BPF_MAP_DELETE_ELEM, attributes);
    }
  }

  std::mutex mutex_;
  UniqueFd map_, program_;
  uint32_t block_ = 0;
};

Status joinBlock(NetlinkSocket& netlink, const std::string& name, uint32_t link, uint32_t block) {
  NetlinkMessage queue(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(link);
  header.tcm_parent = TC_H_INGRESS;
  header.tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0);
  queue.header(header);
  queue.attribute(TCA_KIND, std::string("ingress"));
  queue.attribute(TCA_INGRESS_BLOCK, block);
  int result = netlink.request(queue);
  return result == 0 ? Status() : errnoError("prepare the filter of " + name, result);
}

/** A block lasts as long as it has devices: the first one in it, and the first after a while without any, finds it empty. */
Status fillBlock(NetlinkSocket& netlink, const SharedProgram::Entry& entry) {
  NetlinkMessage filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(TCM_IFINDEX_MAGIC_BLOCK);
  header.tcm_block_index = entry.block;
  header.tcm_handle = filterHandle;
  header.tcm_info = TC_H_MAKE(filterPriority << 16, htons(ETH_P_ALL));
  filter.header(header);
  filter.attribute(TCA_KIND, std::string("bpf"));
  size_t options = filter.open(TCA_OPTIONS);
  filter.attribute(TCA_BPF_FD, static_cast<uint32_t>(entry.program.get()));
  filter.attribute(TCA_BPF_NAME, std::string("drover-addresses"));
  filter.attribute(TCA_BPF_FLAGS, static_cast<uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
  filter.close(options);
  int result = netlink.request(filter);
  return result == 0 || result == EEXIST ? Status() : errnoError("filter what leaves the containers", result);
}

}  // namespace

Status filterAddresses(const Identity& identity) {
  static SharedProgram shared;
  const std::string name = vethName(identity);
  const uint32_t link = if_nametoindex(name.c_str());
  if (link == 0) return errnoError("find " + name);
  auto program = shared.enter(link, allowedOf(identity));
  if (!program.ok() && (errno == EPERM || errno == ENOSYS)) {
    static std::once_flag told;
    std::call_once(told, [&] { logLine("warn", "addresses of containers are not filtered: this host does not let us " + program.error().message); });
    return {};
  }
  if (!program.ok()) return program.error();
  DROVER_TRY_ASSIGN(netlink, NetlinkSocket::open(-1));
  DROVER_TRY(joinBlock(netlink, name, link, program.value().block));
  return fillBlock(netlink, program.value());
}

}  // namespace drover
