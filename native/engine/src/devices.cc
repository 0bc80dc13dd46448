// See devices.h; mount_setattr(2), move_mount(2), the kernel's cgroup-v1/devices.rst.
#include "devices.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "file_io.h"
#include "idmap.h"
#include "inside_fork.h"
#include "inside_root.h"
#include "json_io.h"
#include "mounts.h"
#include "mountinfo.h"
#include "netlink.h"

namespace drover {

namespace {

/** Path → number (`c 1:5 rw`), paths of mounts, names of the host's ends of links. */
struct InPlace {
  std::map<std::string, std::string> nodes;
  std::set<std::string> binds, nics;
};

InPlace inPlace(const Record& record) {
  InPlace made;
  Json notes = record.extra.value("devices", Json::object());
  const Json nodes = notes.value("nodes", Json::object());
  for (const auto& [path, rule] : nodes.items()) made.nodes[path] = rule.get<std::string>();
  made.binds = notes.value("binds", std::set<std::string>());
  made.nics = notes.value("nics", std::set<std::string>());
  return made;
}

Json toJson(const InPlace& made) { return {{"nodes", Json(made.nodes)}, {"binds", made.binds}, {"nics", made.nics}}; }

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
  return {name, device.path, device.mac.empty() ? mac : device.mac, device.ipv4};
}

Error inDevice(const Device& device, const Error& error) { return {error.code, "device " + device.name + ": " + error.message}; }

/** The directory, or the file that something is mounted on; made, with its parents, for the container's root. */
Result<UniqueFd> makeWithin(int root, const std::string& path, uid_t owner, bool directory) {
  UniqueFd there = openWithin(root, path, O_PATH);
  if (there.valid()) return there;
  if (errno != ENOENT) return errnoError("look up " + path + " in the container");
  size_t slash = path.rfind('/');
  UniqueFd parent;
  if (slash == 0) {
    parent = openWithin(root, "/", O_PATH | O_DIRECTORY);
    if (!parent.valid()) return errnoError("open the root of the container");
  } else {
    DROVER_TRY_ASSIGN(made, makeWithin(root, path.substr(0, slash), owner, true));
    parent = std::move(made);
  }
  const char* name = path.c_str() + slash + 1;
  if (!holdsFiles(parent.get())) return engineError("make " + path + " in the container: what it would be in holds no files");
  if (directory ? mkdirat(parent.get(), name, 0755) != 0 : mknodat(parent.get(), name, S_IFREG | 0644, 0) != 0)
    return errnoError("make " + path + " in the container");
  if (fchownat(parent.get(), name, owner, owner, AT_SYMLINK_NOFOLLOW) != 0) return errnoError("give " + path + " to the container");
  there = openWithin(root, path, O_PATH);
  if (!there.valid()) return errnoError("open " + path + " in the container");
  return there;
}

/** Nodes work only on the container's disk: what its own user namespace has mounted lets none be opened. */
Status makeNode(int root, const DeviceNode& node, uid_t owner) {
  size_t slash = node.path.rfind('/');
  DROVER_TRY_ASSIGN(parent, makeWithin(root, slash == 0 ? "/." : node.path.substr(0, slash), owner, true));
  struct statfs system;
  if (fstatfs(parent.get(), &system) != 0 || system.f_type != OVERLAYFS_SUPER_MAGIC)
    return engineError("make " + node.path + ": that directory is not on the container's disk");
  const char* name = node.path.c_str() + slash + 1;
  struct stat info;
  if (fstatat(parent.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    bool device = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
    if (!device) return engineError("make " + node.path + ": the container has something else there");
    // Left alone when it is right: to who has it open a new one would be another.
    if (info.st_mode == node.mode && info.st_rdev == node.number && info.st_uid == owner + node.uid && info.st_gid == owner + node.gid) return {};
    if (unlinkat(parent.get(), name, 0) != 0) return errnoError("replace " + node.path);
  }
  if (mknodat(parent.get(), name, node.mode, node.number) != 0 || fchmodat(parent.get(), name, node.mode & 07777, 0) != 0 ||
      fchownat(parent.get(), name, owner + node.uid, owner + node.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return errnoError("make " + node.path);
  return {};
}

void removeNode(int root, const std::string& path) {
  size_t slash = path.rfind('/');
  UniqueFd parent = openWithin(root, slash == 0 ? "/" : path.substr(0, slash), O_PATH | O_DIRECTORY);
  struct stat info;
  const char* name = path.c_str() + slash + 1;
  if (parent.valid() && fstatat(parent.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)))
    (void)unlinkat(parent.get(), name, 0);
}

/** A file system of the host as a detached mount on which the container's users own what the same users of the host own. */
Result<UniqueFd> idmappedTree(const Device& device, int userNamespace) {
  UniqueFd tree(open_tree(AT_FDCWD, device.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return errnoError("open " + device.source);
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (device.readOnly ? MOUNT_ATTR_RDONLY : 0);
  attributes.userns_fd = static_cast<uint64_t>(userNamespace);
  attributes.propagation = MS_PRIVATE;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return errnoError("map the owners of " + device.source + (errno == EINVAL ? " (its file system can't)" : ""));
  return tree;
}

bool mountedAt(pid_t pid, const std::string& path) {
  auto table = readFile("/proc/" + std::to_string(pid) + "/mountinfo");
  return table.ok() && unescapeMountinfo(table.value()).find(" " + path + " ") != std::string::npos;
}

class Applying {
 public:
  Applying(Engine& engine, Container& container, pid_t pid) : engine_(engine), container_(container), record_(container.snapshot()), pid_(pid), made_(inPlace(record_)) {}

  Status run(const std::vector<Device>& devices) {
    DROVER_TRY_ASSIGN(plan, planDevices(devices));
    root_.reset(open(("/proc/" + std::to_string(pid_) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_.valid()) return errnoError("open the root of " + container_.id);
    InPlace wanted;
    for (const auto& node : plan.nodes) wanted.nodes[node.path] = node.rule();
    for (const auto& bind : plan.binds) wanted.binds.insert(bind.path);
    for (const auto& nic : plan.nics) wanted.nics.insert(nicOf(record_.spec, nic).hostName);
    InPlace both = wanted;
    both.nodes.insert(made_.nodes.begin(), made_.nodes.end());
    both.binds.insert(made_.binds.begin(), made_.binds.end());
    both.nics.insert(made_.nics.begin(), made_.nics.end());
    DROVER_TRY(note(both));
    DROVER_TRY(takeAway(wanted));
    DROVER_TRY(allow(plan));
    for (const auto& node : plan.nodes) DROVER_TRY(makeNode(root_.get(), node, record_.spec.owner()));
    for (const auto& bind : plan.binds)
      if (Status made = makeBind(bind); !made.ok()) return inDevice(bind, made.error());
    for (const auto& nic : plan.nics)
      if (Status made = makeNic(nic); !made.ok()) return inDevice(nic, made.error());
    DROVER_TRY(engine_.proxies().apply(container_.id, pid_, plan.proxies));
    return note(wanted);
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
    for (const auto& path : made_.binds)
      if (!wanted.binds.contains(path) && mountedAt(pid_, path))
        DROVER_TRY(runInMountNamespace(pid_, true, "unmount " + path, [&] { return umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : errno; }));
    for (const auto& name : made_.nics)
      if (!wanted.nics.contains(name)) DROVER_TRY(destroyLink(name));
    return {};
  }

  Status allow(const DevicePlan& plan) {
    std::vector<std::string> rules;
    for (const auto& node : plan.nodes) rules.push_back(node.rule());
    return engine_.cgroups().allowDevices(record_.spec, rules);
  }

  Status makeBind(const Device& device) {
    if (mountedAt(pid_, device.path)) return {};
    struct stat info;
    if (stat(device.source.c_str(), &info) != 0) return errnoError("look at " + device.source);
    DROVER_TRY_ASSIGN(target, makeWithin(root_.get(), device.path, record_.spec.owner(), S_ISDIR(info.st_mode)));
    // A move and the way back name the mount by its path, so it must be the one that the kernel knows.
    char real[4096];
    ssize_t length = readlink(("/proc/self/fd/" + std::to_string(target.get())).c_str(), real, sizeof real);
    std::string there(real, length > 0 ? static_cast<size_t>(length) : 0);
    if (there != device.path) return Error{"BAD_REQUEST", device.path + " is a link in the container: write " + there};
    DROVER_TRY_ASSIGN(userNamespace, ownersOf(record_.spec, pid_));
    DROVER_TRY_ASSIGN(tree, idmappedTree(device, userNamespace.get()));
    return runInMountNamespace(pid_, false, "mount " + device.source + " at " + device.path, [&] {
      return move_mount(tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0 ? 0 : errno;
    });
  }

  Status makeNic(const Device& device) {
    Nic nic = nicOf(record_.spec, device);
    if (!linkExists(nic.hostName)) {
      DROVER_TRY_ASSIGN(network, openNetworkNamespace(pid_));
      DROVER_TRY(createLink(network.get(), nic));
    }
    return attachLink(nic.hostName, device.bridge);
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
  for (const auto& name : inPlace(container.snapshot()).nics) DROVER_TRY(destroyLink(name));
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
    if (device.type == Device::Type::nic) DROVER_TRY(attachLink(nicOf(spec, device).hostName, device.bridge));
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
    if (stat(device.source.c_str(), &info) != 0) return errnoError("look at " + device.source);
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
