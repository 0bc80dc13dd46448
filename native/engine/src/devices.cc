// See devices.h; mount_setattr(2), move_mount(2), the kernel's cgroup-v1/devices.rst.
#include "devices.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "bridge_port.h"
#include "device_mounts.h"
#include "device_nodes.h"
#include "file_io.h"
#include "idmap.h"
#include "json_io.h"
#include "mounts.h"
#include "netlink.h"

namespace drover {

namespace {

using Notes = std::map<std::string, std::string>;

/** Nodes: path → number (`c 1:5 rw`). Mounts by path, links by the host's end: → a digest of the device; empty: as an earlier engine made it. */
struct InPlace {
  Notes nodes, binds, nics;
};

Notes digests(const Json& notes, const char* field) {
  Notes read;
  auto found = notes.find(field);
  if (found == notes.end()) return read;
  for (const auto& [name, digest] : found->items()) {
    // An earlier engine kept a list of names.
    if (found->is_array()) read[digest.get<std::string>()] = "";
    else read[name] = digest.get<std::string>();
  }
  return read;
}

InPlace inPlace(const Record& record) {
  InPlace made;
  Json notes = record.extra.value("devices", Json::object());
  const Json nodes = notes.value("nodes", Json::object());
  for (const auto& [path, rule] : nodes.items()) made.nodes[path] = rule.get<std::string>();
  made.binds = digests(notes, "binds");
  made.nics = digests(notes, "nics");
  return made;
}

Json toJson(const InPlace& made) { return {{"nodes", Json(made.nodes)}, {"binds", Json(made.binds)}, {"nics", Json(made.nics)}}; }

/** FNV-1a. */
uint32_t hashOf(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (unsigned char byte : text) hash = (hash ^ byte) * 16777619U;
  return hash;
}

Nic nicOf(const Spec& spec, const Device& device) {
  uint32_t hash = hashOf(spec.container + "/" + device.name);
  char name[16], mac[32];
  snprintf(name, sizeof name, "dn%08x", hash);
  // Locally administered, the same on every host.
  snprintf(mac, sizeof mac, "02:65:%02x:%02x:%02x:%02x", hash >> 24, hash >> 16 & 255, hash >> 8 & 255, hash & 255);
  return {name, device.path, device.mac.empty() ? mac : device.mac, device.ipv4, false, device.ipv6, device.mtu, device.queueLength};
}

/** Of a volume, with a mark: what is away from the list is known by this alone. */
constexpr char exclusiveMark = '!';
std::string digestOf(const Device& device) { return std::to_string(hashOf(device.text)) + (device.exclusive ? std::string(1, exclusiveMark) : ""); }

/** What a restore has mounted is noted only when its devices are looked at again. */
InPlace withVolumes(InPlace made, const Spec& spec) {
  for (const auto& device : spec.devices)
    if (device.exclusive) made.binds.emplace(device.path, digestOf(device));
  return made;
}

/** The same name, and something else behind it. */
bool differs(const Notes& wanted, const std::string& name, const std::string& digest) {
  auto found = wanted.find(name);
  return found == wanted.end() || (!digest.empty() && found->second != digest);
}

Status plug(const Spec& spec, const Device& device) {
  const std::string link = nicOf(spec, device).hostName;
  DROVER_TRY(attachLink(link, device.bridge));
  return device.isolated ? isolatePort(link) : Status();
}

Error inDevice(const Device& device, const Error& error) { return {error.code, "device " + device.name + ": " + error.message}; }

class Applying {
 public:
  Applying(Engine& engine, Container& container, pid_t pid) : engine_(engine), container_(container), record_(container.snapshot()), pid_(pid), made_(withVolumes(inPlace(record_), record_.spec)) {}

  Status run(const std::vector<Device>& devices) {
    DROVER_TRY_ASSIGN(plan, planDevices(devices));
    root_.reset(open(("/proc/" + std::to_string(pid_) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_.valid()) return errnoError("open the root of " + container_.id);
    InPlace wanted;
    for (const auto& node : plan.nodes) wanted.nodes[node.path] = node.rule();
    for (const auto& each : plan.mounts) wanted.binds[each.path] = digestOf(each);
    for (const auto& nic : plan.nics) wanted.nics[nicOf(record_.spec, nic).hostName] = digestOf(nic);
    // What is to be replaced counts as the old one until that is away.
    InPlace both = made_;
    both.nodes.insert(wanted.nodes.begin(), wanted.nodes.end());
    both.binds.insert(wanted.binds.begin(), wanted.binds.end());
    both.nics.insert(wanted.nics.begin(), wanted.nics.end());
    DROVER_TRY(note(both));
    DROVER_TRY(takeAway(wanted));
    DROVER_TRY(note(wanted));
    DROVER_TRY(allow(plan));
    for (const auto& node : plan.nodes) DROVER_TRY(makeNode(root_.get(), node, record_.spec.owner()));
    for (const auto& each : plan.mounts)
      if (Status made = mountDevice(record_.spec, pid_, root_.get(), each); !made.ok()) return inDevice(each, made.error());
    for (const auto& nic : plan.nics)
      if (Status made = makeNic(nic); !made.ok()) return inDevice(nic, made.error());
    return engine_.proxies().apply(container_.id, pid_, plan.proxies);
  }

 private:
  Status note(const InPlace& notes) {
    Json value = toJson(notes);
    if (container_.snapshot().extra.value("devices", Json()) == value) return {};
    return engine_.update(container_, [&](Record& record) { record.extra["devices"] = value; });
  }

  Status takeAway(const InPlace& wanted) {
    for (const auto& [path, rule] : made_.nodes)
      if (!wanted.nodes.contains(path)) removeNode(root_.get(), path);
    for (const auto& [path, digest] : made_.binds)
      if (differs(wanted.binds, path, digest)) DROVER_TRY(unmount(path, digest));
    for (const auto& [name, digest] : made_.nics)
      if (differs(wanted.nics, name, digest)) DROVER_TRY(destroyLink(name));
    return {};
  }

  Status unmount(const std::string& path, const std::string& digest) {
    if (!digest.ends_with(exclusiveMark)) return unmountDevice(pid_, path);
    return unmountEverywhere([this] { return engine_.cgroups().processes(container_.id); }, path);
  }

  Status allow(const DevicePlan& plan) {
    std::vector<std::string> rules;
    for (const auto& node : plan.nodes) rules.push_back(node.rule());
    return engine_.cgroups().allowDevices(record_.spec, rules);
  }

  Status makeNic(const Device& device) {
    Nic nic = nicOf(record_.spec, device);
    if (!linkExists(nic.hostName)) {
      DROVER_TRY_ASSIGN(network, openNetworkNamespace(pid_));
      if (Status made = createLink(network.get(), nic); !made.ok()) {
        // Not half of one, which would be taken for the whole.
        (void)destroyLink(nic.hostName).ok();
        return made;
      }
    }
    return plug(record_.spec, device);
  }

  Engine& engine_;
  Container& container_;
  const Record record_;
  const pid_t pid_;
  const InPlace made_;
  UniqueFd root_;
};

std::string keyOf(const Device& device) { return "device-" + device.name; }

}  // namespace

Status applyDevices(Engine& engine, Container& container, pid_t pid, const std::vector<Device>& devices) { return Applying(engine, container, pid).run(devices); }

bool hasDevices(const Record& record) {
  InPlace made = inPlace(record);
  return !record.spec.devices.empty() || !made.nodes.empty() || !made.binds.empty() || !made.nics.empty();
}

bool hasProxies(const Spec& spec) {
  return std::any_of(spec.devices.begin(), spec.devices.end(), [](const Device& device) { return device.type == Device::Type::proxy; });
}

Status reserveProxies(Engine& engine, const Spec& spec) {
  std::vector<Device> proxies;
  std::copy_if(spec.devices.begin(), spec.devices.end(), std::back_inserter(proxies), [](const Device& device) { return device.type == Device::Type::proxy; });
  return engine.proxies().reserve(spec.container, proxies);
}

Status removeNics(Container& container) {
  for (const auto& [name, digest] : inPlace(container.snapshot()).nics) DROVER_TRY(destroyLink(name));
  return {};
}

Status prepareDevices(Engine& engine, const Spec& spec, int networkNamespace) {
  DROVER_TRY_ASSIGN(plan, planDevices(spec.devices));
  std::vector<std::string> rules;
  for (const auto& node : plan.nodes) rules.push_back(node.rule());
  DROVER_TRY(engine.cgroups().allowDevices(spec, rules));
  for (const auto& device : plan.nics) {
    Nic nic = nicOf(spec, device);
    DROVER_TRY(destroyLink(nic.hostName));
    if (Status made = createLink(networkNamespace, nic); !made.ok()) return inDevice(device, made.error());
  }
  return {};
}

Status attachNics(const Spec& spec) {
  for (const auto& device : spec.devices)
    if (device.type == Device::Type::nic) DROVER_TRY(plug(spec, device));
  return {};
}

std::vector<std::string> bindMountsForDump(const Spec& spec) {
  std::vector<std::string> list;
  for (const auto& device : spec.devices)
    if (device.type == Device::Type::bind) list.push_back("mnt[" + device.path + "]:" + keyOf(device));
  return list;
}

Result<std::unique_ptr<AttachedBinds>> AttachedBinds::attach(const Spec& spec, int userNamespace) {
  auto attached = std::make_unique<AttachedBinds>();
  for (const auto& device : spec.devices) {
    if (device.type != Device::Type::bind) continue;
    // In /run: CRIU opens it as the container's root.
    std::string path = "/run/drover-restore-" + spec.container + "-" + device.name;
    DROVER_TRY(detachMount(path));
    struct stat info;
    if (stat(device.source.c_str(), &info) != 0) {
      if (!device.required && errno == ENOENT) continue;
      return errnoError("look at " + device.source);
    }
    if (S_ISDIR(info.st_mode) ? mkdir(path.c_str(), 0755) != 0 && errno != EEXIST : mknod(path.c_str(), S_IFREG | 0644, 0) != 0 && errno != EEXIST)
      return errnoError("make " + path);
    attached->paths_.push_back(path);
    DROVER_TRY_ASSIGN(tree, idmappedTree(device, userNamespace));
    DROVER_TRY(attachMount(tree.get(), path));
    attached->external_.push_back("mnt[" + keyOf(device) + "]:" + path);
  }
  return attached;
}

AttachedBinds::~AttachedBinds() {
  for (const auto& path : paths_) {
    (void)detachMount(path).ok();
    if (rmdir(path.c_str()) != 0) (void)unlink(path.c_str());
  }
}

}  // namespace drover
