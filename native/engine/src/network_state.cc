// See network_state.h.
#include "network_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "conntrack_state.h"
#include "file_io.h"
#include "log.h"
#include "netlink.h"
#include "netlink_message.h"
#include "network_links.h"
#include "network_routes.h"
#include "network_sysctls.h"
#include "nf_tables_state.h"
#include "unique_fd.h"
#include "x_tables_state.h"

namespace drover {
namespace {

constexpr const char* fileName = "network";
constexpr size_t largestFile = 256 << 20;
/** In this order they are in the file, each behind its length. */
enum Part { links, sysctls, addresses, routes, rules, neighbours, xTables, nfTables, connections, parts };
using Parts = std::array<std::string, parts>;

Status writeParts(const Parts& all, int directory) {
  std::string text;
  for (const std::string& part : all) {
    const uint64_t length = part.size();
    text.append(reinterpret_cast<const char*>(&length), sizeof length);
    text += part;
  }
  UniqueFd file(openat(directory, fileName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return errnoError(std::string("write ") + fileName);
  return {};
}

/** Those that a later engine may add are passed over. */
Result<Parts> readParts(int directory) {
  DROVER_TRY_ASSIGN(text, readFile("/proc/self/fd/" + std::to_string(directory) + "/" + fileName, largestFile));
  Parts all;
  std::string_view left = text;
  for (std::string& part : all) {
    uint64_t length = 0;
    if (left.size() < sizeof length) break;
    memcpy(&length, left.data(), sizeof length);
    left.remove_prefix(sizeof length);
    if (length > left.size()) return engineError(std::string(fileName) + " among the images is cut off");
    part = left.substr(0, length);
    left.remove_prefix(length);
  }
  return all;
}

}  // namespace

Status saveNetwork(pid_t process, const Spec& spec, bool withSysctls, int directory) {
  DROVER_TRY_ASSIGN(network, openNetworkNamespace(process));
  DROVER_TRY_ASSIGN(inside, NetlinkSocket::open(network.get()));
  Parts all;
  DROVER_TRY_ASSIGN(linksText, dumpLinks(inside));
  // Preflight says so before anything is frozen; it may have been made since.
  if (const std::string link = unmovableLink(linksText, spec); !link.empty()) return engineError("it has a network link that can't be made on another host: " + link);
  DROVER_TRY_ASSIGN(sysctlsText, withSysctls ? dumpNetworkSysctls(network.get(), linksText) : Result<std::string>(std::string()));
  DROVER_TRY_ASSIGN(addressesText, dumpAddresses(inside, spec));
  DROVER_TRY_ASSIGN(routesText, dumpConfiguredRoutes(inside, spec));
  DROVER_TRY_ASSIGN(rulesText, dumpRules(inside));
  DROVER_TRY_ASSIGN(neighboursText, dumpNeighbours(inside));
  DROVER_TRY_ASSIGN(xTablesText, dumpXTables(network.get(), process));
  DROVER_TRY_ASSIGN(nfTablesText, dumpNfTables(network.get()));
  DROVER_TRY_ASSIGN(connectionsText, dumpConntrack(network.get()));
  all = {linksText, sysctlsText, addressesText, routesText, rulesText, neighboursText, xTablesText, nfTablesText, connectionsText};
  bool isAsMade = areLinksAsMade(all[links], spec);
  for (int part = sysctls; part < parts; part++) isAsMade = isAsMade && all[part].empty();
  return isAsMade ? Status() : writeParts(all, directory);
}

Result<bool> restoreNetwork(int networkNamespace, int directory) {
  if (faccessat(directory, fileName, F_OK, 0) != 0) return false;
  DROVER_TRY_ASSIGN(all, readParts(directory));
  DROVER_TRY_ASSIGN(inside, NetlinkSocket::open(networkNamespace));
  DROVER_TRY(restoreLinks(inside, all[links]));
  DROVER_TRY_ASSIGN(indices, LinkIndices::match(inside, all[links]));
  DROVER_TRY(restoreNetworkSysctls(networkNamespace, all[sysctls]));
  DROVER_TRY(restoreAddresses(inside, all[addresses], indices));
  DROVER_TRY(restoreConfiguredRoutes(inside, all[routes], indices));
  DROVER_TRY(restoreRules(inside, all[rules]));
  DROVER_TRY(restoreNeighbours(inside, all[neighbours], indices));
  DROVER_TRY(loadXTables(networkNamespace, all[xTables]));
  DROVER_TRY(loadNfTables(networkNamespace, all[nfTables]));
  DROVER_TRY_ASSIGN(lost, loadConntrack(networkNamespace, all[connections]));
  if (lost > 0) logLine("warn", "of the connections that a container tracks the kernel did not take " + std::to_string(lost));
  return !all[sysctls].empty();
}

}  // namespace drover
