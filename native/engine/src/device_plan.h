// What the devices of a spec are on this host: which nodes with which numbers, which directories, which links. Only looks.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "device.h"
#include "error.h"

namespace drover {

struct DeviceNode {
  /** In the container. */
  std::string path;
  /** S_IFCHR or S_IFBLK, with the permissions. */
  mode_t mode;
  dev_t number;
  uid_t uid;
  gid_t gid;
  bool readOnly;

  /** As the device cgroup takes it: c 1:5 rwm. */
  std::string rule() const;
};

struct DevicePlan {
  std::vector<DeviceNode> nodes;
  /** Of directories and files, and of memory. */
  std::vector<Device> mounts;
  std::vector<Device> nics;
  std::vector<Device> proxies;
};

/** What is missing is an error of code DEVICE_NOT_FOUND, but for usb: that is plugged in when it is. */
Result<DevicePlan> planDevices(const std::vector<Device>& devices);

}  // namespace drover
