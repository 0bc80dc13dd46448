// See x_tables_state.h; the kernel's net/ipv4/netfilter/ip_tables.c and include/uapi/linux/netfilter/x_tables.h.
#include "x_tables_state.h"

#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "child_setup.h"
#include "file_io.h"
#include "netlink_message.h"
#include "pidfd.h"
#include "words.h"
#include "x_tables_dump.h"

namespace drover {

namespace {

constexpr size_t largestDump = 64 << 20;
constexpr size_t namesBytes = 4096;
/** A table that is changed meanwhile has another size when it is read (or replaced). */
constexpr int mostTries = 10;
constexpr int deadlineMs = 10'000;

static_assert(sizeof(ipt_getinfo) == sizeof(ip6t_getinfo) && sizeof(ipt_replace) == sizeof(ip6t_replace));
static_assert(IPT_SO_GET_INFO == IP6T_SO_GET_INFO && IPT_SO_GET_ENTRIES == IP6T_SO_GET_ENTRIES && IPT_SO_SET_REPLACE == IP6T_SO_SET_REPLACE);
static_assert(sizeof(XTableHead) == sizeof(uint32_t) + sizeof(ipt_getinfo) && sizeof(ipt_replace) == offsetof(ipt_replace, entries));

Result<UniqueFd> openTables(int networkNamespace, const XTableFamily& family) {
  return socketInside(networkNamespace, static_cast<int>(family.domain), SOCK_RAW, IPPROTO_RAW);
}

/** 0 or an errno. A table that the namespace hasn't got begins to be by this. */
int readInfo(int socket, const XTableFamily& family, std::string_view name, ipt_getinfo& info) {
  info = {};
  name.copy(info.name, sizeof info.name - 1);
  socklen_t length = sizeof info;
  return getsockopt(socket, family.level, IPT_SO_GET_INFO, &info, &length) == 0 ? 0 : errno;
}

/** Adds it to the dump. 0 or an errno; EAGAIN: it was changed meanwhile. */
int dumpTable(int socket, const XTableFamily& family, std::string_view name, std::string& dump) {
  ipt_getinfo info;
  if (int number = readInfo(socket, family, name, info); number != 0) return number;
  if (info.size > largestXTable) return EFBIG;
  std::string request(sizeof(ipt_get_entries) + info.size, '\0');
  auto* entries = reinterpret_cast<ipt_get_entries*>(request.data());
  name.copy(entries->name, sizeof entries->name - 1);
  entries->size = info.size;
  auto length = static_cast<socklen_t>(request.size());
  if (getsockopt(socket, family.level, IPT_SO_GET_ENTRIES, request.data(), &length) != 0) return errno;
  dump.append(reinterpret_cast<const char*>(&family.domain), sizeof family.domain);
  dump.append(reinterpret_cast<const char*>(&info), sizeof info);
  dump.append(request, offsetof(ipt_get_entries, entrytable), info.size);
  return 0;
}

std::string describe(const XTableFamily& family, std::string_view name) { return std::string(family.shown) + "' table " + std::string(name); }

/** What SET_REPLACE is told: head and entries, and where the counters go of what was there before. */
std::string replacement(const XTable& table, const ipt_getinfo& before, std::vector<xt_counters>& old) {
  old.resize(before.num_entries);
  ipt_replace head = {};
  memcpy(head.name, table.head.name, sizeof head.name);
  head.valid_hooks = table.head.validHooks;
  head.num_entries = table.head.entryCount;
  head.size = table.head.size;
  std::copy(std::begin(table.head.hookEntry), std::end(table.head.hookEntry), head.hook_entry);
  std::copy(std::begin(table.head.underflow), std::end(table.head.underflow), head.underflow);
  head.num_counters = before.num_entries;
  head.counters = old.data();
  std::string bytes(reinterpret_cast<const char*>(&head), offsetof(ipt_replace, entries));
  return bytes.append(table.entries);
}

/**
 * A rule with `owner` is taken only from who is in the user namespace that the network namespace belongs to: the ids in it are that one's.
 * 0 or an errno.
 */
int replaceAsOwner(int networkNamespace, int socket, const XTableFamily& family, const std::string& request) {
  UniqueFd owner(ioctl(networkNamespace, NS_GET_USERNS));
  if (!owner.valid()) return EINVAL;
  ForkResult child = forkInto(0, -1);
  if (child.pid == 0) {
    becomePlainProcess();
    // Refused when it is the engine's own: then the first answer was the last word.
    if (setns(owner.get(), CLONE_NEWUSER) != 0) _exit(EINVAL);
    _exit(setsockopt(socket, family.level, IPT_SO_SET_REPLACE, request.data(), static_cast<socklen_t>(request.size())) == 0 ? 0 : errno);
  }
  if (child.pid < 0) return -child.pid;
  UniqueFd pidfd(child.pidfd);
  if (!waitPidfd(pidfd.get(), deadlineMs)) (void)signalPidfd(pidfd.get(), SIGKILL).ok();
  auto status = endedStatus(pidfd.get());
  return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : ETIMEDOUT;
}

/** 0 or an errno. */
int replaceTable(int networkNamespace, int socket, const XTableFamily& family, const XTable& table) {
  int number = EAGAIN;
  for (int tries = 0; tries < mostTries && number == EAGAIN; ++tries) {
    ipt_getinfo before;
    if (number = readInfo(socket, family, table.head.name, before); number != 0) return number;
    std::vector<xt_counters> old;
    const std::string request = replacement(table, before, old);
    const auto length = static_cast<socklen_t>(request.size());
    number = setsockopt(socket, family.level, IPT_SO_SET_REPLACE, request.data(), length) == 0 ? 0 : errno;
    if (number == EINVAL && networkNamespace >= 0) number = replaceAsOwner(networkNamespace, socket, family, request);
  }
  return number;
}

/** The kernel takes rules with their counters at zero. 0 or an errno. */
int addCounters(int socket, const XTableFamily& family, const XTable& table) {
  xt_counters_info head = {};
  memcpy(head.name, table.head.name, sizeof head.name);
  head.num_counters = table.head.entryCount;
  std::string request(reinterpret_cast<const char*>(&head), offsetof(xt_counters_info, counters));
  for (uint32_t at : table.counters) request.append(table.entries.substr(at, sizeof(xt_counters)));
  return setsockopt(socket, family.level, IPT_SO_SET_ADD_COUNTERS, request.data(), static_cast<socklen_t>(request.size())) == 0 ? 0 : errno;
}

}  // namespace

Result<std::string> dumpXTables(int networkNamespace, pid_t process) {
  std::string dump;
  for (const XTableFamily& family : xTableFamilies()) {
    const std::string file = "/proc/" + std::to_string(process) + "/net/" + family.names;
    // Kernels have these tables as modules, or not at all.
    if (access(file.c_str(), F_OK) != 0) continue;
    DROVER_TRY_ASSIGN(names, readFile(file, namesBytes));
    if (names.empty()) continue;
    DROVER_TRY_ASSIGN(socket, openTables(networkNamespace, family));
    for (std::string_view name : splitAt(names, '\n')) {
      if (!isXTable(name)) continue;
      int number = EAGAIN;
      for (int tries = 0; tries < mostTries && number == EAGAIN; ++tries) number = dumpTable(socket.get(), family, name, dump);
      if (number != 0) return errnoError("read " + describe(family, name), number);
      if (dump.size() > largestDump) return errnoError("read " + describe(family, name), EFBIG);
    }
  }
  return dump;
}

Status loadXTables(int networkNamespace, std::string_view dump) {
  auto tables = splitXTables(dump);
  if (!tables || dump.size() > largestDump) return engineError("what came as the iptables of a container is not that");
  // The kernel lists first the table that came last: so their order stays.
  for (auto each = tables->rbegin(); each != tables->rend(); ++each) {
    const XTable& table = *each;
    const XTableFamily& family = *xTableFamilyOf(table.head.family);
    DROVER_TRY_ASSIGN(socket, openTables(networkNamespace, family));
    if (int number = replaceTable(networkNamespace, socket.get(), family, table); number != 0)
      return errnoError("set " + describe(family, table.head.name), number);
    if (int number = addCounters(socket.get(), family, table); number != 0)
      return errnoError("set the counters of " + describe(family, table.head.name), number);
  }
  return {};
}

}  // namespace drover
