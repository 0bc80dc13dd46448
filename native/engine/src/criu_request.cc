// See criu_request.h.
#include "criu_request.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sched.h>

#include "criu_rpc.pb-c.h"

namespace drover {
namespace {

constexpr uint32_t ghostLimit = 64u << 20;

/** These options dump and restore busybox and systemd system containers with a user namespace. */
void fillOptions(CriuRpcOptions& o, const CriuRequest& request) {
  o.images_directory = request.directory;
  o.has_work_directory = 1;
  o.work_directory = request.directory;
  o.has_log_level = 1;
  o.log_level = criuLogLevel();
  o.log_file = const_cast<char*>(criuLogName);
  o.has_notifications = 1;
  o.notifications = 1;
  // The engine takes the veth off its bridge before the freeze: packets are dropped, not refused, and no firewall is needed.
  o.has_network_lock = 1;
  o.network_lock = CRIU_RPC_NETWORK_LOCK__SKIP;
  // The engine makes the network in setup-namespaces: no conntrack, iptables or `ip` dumps.
  o.has_empty_namespaces = 1;
  o.empty_namespaces = CLONE_NEWNET;
  o.has_manage_cgroups = 1;
  o.manage_cgroups = 1;
  o.has_cgroup_mode = 1;
  o.cgroup_mode = request.manageCgroups ? CRIU_RPC_CGROUP_MODE__SOFT : CRIU_RPC_CGROUP_MODE__IGNORE;
  if (!request.cgroupYard.empty()) o.cgroup_yard = const_cast<char*>(request.cgroupYard.c_str());
  if (!request.root.empty()) o.root = const_cast<char*>(request.root.c_str());
  o.has_tcp_established = o.tcp_established = 1;
  o.has_file_locks = o.file_locks = 1;
  o.has_link_remap = o.link_remap = 1;
  o.has_external_unix_sockets = o.external_unix_sockets = 1;
  o.has_ghost_limit = 1;
  o.ghost_limit = ghostLimit;
  if (request.kind == CriuRequest::Kind::dump) {
    o.has_pid = 1;
    o.pid = request.pid;
    o.has_leave_running = 1;
    o.leave_running = request.leaveRunning;
    if (!request.parentImages.empty()) {
      o.parent_images = const_cast<char*>(request.parentImages.c_str());
      o.has_track_memory = o.track_memory = 1;
    }
    if (!request.freezeCgroup.empty()) o.freeze_cgroup = const_cast<char*>(request.freezeCgroup.c_str());
  }
}

}  // namespace

int criuLogLevel() {
  const char* asked = getenv("DROVER_CRIU_LOG_LEVEL");
  return asked && *asked >= '1' && *asked <= '4' ? *asked - '0' : 1;
}

std::vector<uint8_t> packCriuRequest(const CriuRequest& request) {
  CriuRpcRequest message = CRIU_RPC_REQUEST__INIT;
  CriuRpcOptions options = CRIU_RPC_OPTIONS__INIT;
  CriuRpcFeatures features = CRIU_RPC_FEATURES__INIT;
  char ramfs[] = "ramfs";
  char* filesystems[] = {ramfs};
  std::vector<char*> external;
  if (request.kind == CriuRequest::Kind::version) {
    message.type = CRIU_RPC_TYPE__VERSION;
  } else if (request.kind == CriuRequest::Kind::warm) {
    message.type = CRIU_RPC_TYPE__FEATURE_CHECK;
    features.has_memory_tracking = features.memory_tracking = 1;
    message.features = &features;
  } else {
    fillOptions(options, request);
    std::transform(request.external.begin(), request.external.end(), std::back_inserter(external), [](const std::string& text) { return const_cast<char*>(text.c_str()); });
    options.n_external = external.size();
    options.external = external.data();
    options.n_enable_filesystems = 1;
    options.enable_filesystems = filesystems;
    message.type = request.kind == CriuRequest::Kind::dump ? CRIU_RPC_TYPE__DUMP : CRIU_RPC_TYPE__RESTORE;
    message.options = &options;
  }
  std::vector<uint8_t> bytes(criu_rpc_request__get_packed_size(&message));
  criu_rpc_request__pack(&message, bytes.data());
  return bytes;
}

}  // namespace drover
