// A device of a container as the spec has it (Device of packages/protocol/src/devices.ts), checked. What of it is on this host is
// found out by device_plan.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "error.h"

namespace drover {

struct Device {
  /** A volume is a bind, but for what is said there. */
  enum class Type { character, block, bind, volume, nic, gpu, usb, proxy, tmpfs };
  /** Unique in its container: [a-z0-9-], at most 32. */
  std::string name;
  Type type = Type::character;
  /** Path on the host (character, block, bind). */
  std::string source;
  /** Path in the container; of a nic its name there. */
  std::string path;
  mode_t mode = 0660;
  uid_t uid = 0;
  gid_t gid = 0;
  /** Of a node: it can't be written to; of a bind: mounted read-only. */
  bool readOnly = false;
  /** Of a bind: the same directory is on every host, so that a move finds it again. */
  bool shared = false;
  /** Of a bind: a volume, which nobody may still use once it is taken away. */
  bool exclusive = false;
  /** Of a bind: with what is mounted below it. */
  bool recursive = false;
  /** Otherwise what isn't on this host is left out (character, block, bind). */
  bool required = true;
  /** Of a node without a source. */
  std::optional<dev_t> number;
  /** Of a tmpfs. */
  int64_t sizeBytes = 0;
  std::string bridge, mac, ipv4, ipv6;
  /** Of a nic; 0: the kernel's. */
  uint32_t mtu = 0, queueLength = 0;
  /** Of a nic: from other isolated ones of its bridge. */
  bool isolated = false;
  /** gpu: nvidia, amd, intel or any. usb: four hex digits each; an empty product is any. */
  std::string vendor, product;
  /** usb: further, where not empty or 0. */
  std::string serial;
  int bus = 0, address = 0;
  /** proxy: an address of the host, and one in the container, as proxy_address.h has them. mode, uid and gid are of a listening path. */
  std::string listen, connect;
  /** As it came, for the answer. */
  std::string text;

  bool operator==(const Device& other) const { return name == other.name && text == other.text; }
};

/** The object `devices`: name → device. */
Result<std::vector<Device>> parseDevices(const nlohmann::json& value);
nlohmann::json devicesToJson(const std::vector<Device>& devices);

}  // namespace drover
