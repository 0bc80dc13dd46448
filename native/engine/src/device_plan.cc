// Looks for the devices of a spec below /dev and /sys. See device_plan.h.
#include "device_plan.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "file_io.h"

namespace drover {

namespace {

/** Before /dev and /sys: a test's stand-in for hardware. */
const std::string& hardware() {
  static const std::string path = [] {
    const char* other = getenv("DROVER_HARDWARE");
    return std::string(other ? other : "");
  }();
  return path;
}

/** Device files that a vendor's user-space driver opens; those of DRM are told apart by the PCI vendor of the card. */
struct GpuVendor {
  const char* name;
  const char* pci;
  std::vector<const char*> patterns;
};
const GpuVendor gpuVendors[] = {
    {"nvidia", "0x10de", {"/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-caps/nvidia-cap*"}},
    {"amd", "0x1002", {"/dev/kfd"}},
    {"intel", "0x8086", {}},
};

std::vector<std::string> namesIn(const std::string& directory) {
  std::vector<std::string> names;
  DIR* stream = opendir(directory.c_str());
  if (!stream) return names;
  while (dirent* entry = readdir(stream))
    if (entry->d_name[0] != '.') names.push_back(entry->d_name);
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

std::string firstLine(const std::string& path) {
  auto content = readFile(path, 4096);
  if (!content.ok()) return "";
  return content.value().substr(0, content.value().find('\n'));
}

DeviceNode nodeOf(const Device& device, const std::string& path, mode_t type, dev_t number) {
  return {path, type | device.mode, number, device.uid, device.gid, device.readOnly};
}

void addMatching(const Device& device, const std::string& pattern, std::vector<DeviceNode>& nodes) {
  size_t slash = pattern.rfind('/');
  std::string directory = pattern.substr(0, slash);
  for (const auto& name : namesIn(hardware() + directory)) {
    struct stat info;
    if (fnmatch(pattern.c_str() + slash + 1, name.c_str(), 0) != 0) continue;
    if (stat((hardware() + directory + "/" + name).c_str(), &info) == 0 && S_ISCHR(info.st_mode))
      nodes.push_back(nodeOf(device, directory + "/" + name, S_IFCHR, info.st_rdev));
  }
}

Status planGpu(const Device& device, std::vector<DeviceNode>& nodes) {
  size_t before = nodes.size();
  std::string looked;
  for (const auto& vendor : gpuVendors) {
    if (device.vendor != "any" && device.vendor != vendor.name) continue;
    for (const char* pattern : vendor.patterns) {
      addMatching(device, pattern, nodes);
      looked += std::string(looked.empty() ? "" : ", ") + pattern;
    }
    for (const auto& card : namesIn(hardware() + "/sys/class/drm"))
      if (firstLine(hardware() + "/sys/class/drm/" + card + "/device/vendor") == vendor.pci) addMatching(device, "/dev/dri/" + card, nodes);
    looked += std::string(looked.empty() ? "" : ", ") + "/dev/dri/* of PCI vendor " + vendor.pci;
  }
  if (nodes.size() == before) return Error{"DEVICE_NOT_FOUND", "device " + device.name + ": this host has no GPU of vendor " + device.vendor + " (none of " + looked + ")"};
  return {};
}

void planUsb(const Device& device, std::vector<DeviceNode>& nodes) {
  const std::string root = hardware() + "/sys/bus/usb/devices";
  for (const auto& name : namesIn(root)) {
    const std::string at = root + "/" + name;
    if (firstLine(at + "/idVendor") != device.vendor || (!device.product.empty() && firstLine(at + "/idProduct") != device.product)) continue;
    unsigned majorNumber, minorNumber;
    const int bus = atoi(firstLine(at + "/busnum").c_str()), address = atoi(firstLine(at + "/devnum").c_str());
    if ((device.bus != 0 && device.bus != bus) || (device.address != 0 && device.address != address)) continue;
    if (!device.serial.empty() && firstLine(at + "/serial") != device.serial) continue;
    if (sscanf(firstLine(at + "/dev").c_str(), "%u:%u", &majorNumber, &minorNumber) != 2) continue;
    char path[64];
    snprintf(path, sizeof path, "/dev/bus/usb/%03d/%03d", bus, address);
    nodes.push_back(nodeOf(device, path, S_IFCHR, makedev(majorNumber, minorNumber)));
  }
}

bool absent(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

}  // namespace

std::string DeviceNode::rule() const {
  return std::string(S_ISBLK(mode) ? "b " : "c ") + std::to_string(major(number)) + ":" + std::to_string(minor(number)) + (readOnly ? " r" : " rw");
}

Result<DevicePlan> planDevices(const std::vector<Device>& devices) {
  DevicePlan plan;
  for (const auto& device : devices) {
    auto missing = [&](const std::string& why) { return Error{"DEVICE_NOT_FOUND", "device " + device.name + ": " + device.source + " " + why}; };
    struct stat info;
    switch (device.type) {
      case Device::Type::character:
      case Device::Type::block: {
        bool block = device.type == Device::Type::block;
        if (device.number) {
          plan.nodes.push_back(nodeOf(device, device.path, block ? S_IFBLK : S_IFCHR, *device.number));
          break;
        }
        if (!device.required && absent(device.source)) break;
        if (stat(device.source.c_str(), &info) != 0) return missing(std::string("is not on this host: ") + strerror(errno));
        if (block ? !S_ISBLK(info.st_mode) : !S_ISCHR(info.st_mode)) return missing(block ? "is no block device" : "is no character device");
        plan.nodes.push_back(nodeOf(device, device.path, block ? S_IFBLK : S_IFCHR, info.st_rdev));
        break;
      }
      case Device::Type::bind:
      case Device::Type::volume:
        if (!device.required && absent(device.source)) break;
        if (stat(device.source.c_str(), &info) != 0) return missing(std::string("is not on this host: ") + strerror(errno));
        if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) return missing("is neither a directory nor a regular file");
        plan.mounts.push_back(device);
        break;
      case Device::Type::nic:
        plan.nics.push_back(device);
        break;
      case Device::Type::tmpfs:
        plan.mounts.push_back(device);
        break;
      case Device::Type::proxy:
        plan.proxies.push_back(device);
        break;
      case Device::Type::gpu:
        DROVER_TRY(planGpu(device, plan.nodes));
        break;
      case Device::Type::usb:
        planUsb(device, plan.nodes);
        break;
    }
  }
  return plan;
}

}  // namespace drover
