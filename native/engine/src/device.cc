// Checks devices. See device.h.
#include "device.h"

#include <arpa/inet.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>

#include "json_io.h"
#include "proxy_address.h"

namespace drover {

namespace {

constexpr size_t mostDevices = 64;

constexpr std::pair<const char*, Device::Type> types[] = {
    {"char", Device::Type::character}, {"block", Device::Type::block}, {"bind", Device::Type::bind},
    {"nic", Device::Type::nic},        {"gpu", Device::Type::gpu},     {"usb", Device::Type::usb},
    {"proxy", Device::Type::proxy},    {"tmpfs", Device::Type::tmpfs},    {"volume", Device::Type::volume},
};

bool isLabel(const std::string& text, size_t most) {
  return !text.empty() && text.size() <= most && text.front() != '-' && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

/** Absolute, and it names something: no `.` or `..` on the way, no slash at the end. */
bool isPlainPath(const std::string& path) {
  if (path.size() < 2 || path.size() > 4000 || path.front() != '/' || path.find('\0') != std::string::npos) return false;
  for (size_t start = 1; start <= path.size();) {
    size_t end = std::min(path.find('/', start), path.size());
    std::string part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

bool isHex(const std::string& text, size_t digits) { return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos; }

bool isMac(const std::string& text) {
  unsigned b[6];
  char end;
  return text.size() == 17 && text.find_first_not_of("0123456789abcdefABCDEF:") == std::string::npos && sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", b, b + 1, b + 2, b + 3, b + 4, b + 5, &end) == 6 && (b[0] & 1) == 0;
}

bool isAddress6WithPrefix(const std::string& text) {
  size_t slash = text.find('/');
  in6_addr address;
  int prefix = 0;
  char end;
  return slash != std::string::npos && inet_pton(AF_INET6, text.substr(0, slash).c_str(), &address) == 1 &&
         sscanf(text.c_str() + slash + 1, "%d%c", &prefix, &end) == 1 && prefix >= 0 && prefix <= 128;
}

/** What the maker wrote into it, as sysfs shows it. */
bool isSerial(const std::string& text) {
  return !text.empty() && text.size() <= 126 && std::all_of(text.begin(), text.end(), [](unsigned char byte) { return byte >= 32 && byte != 127; });
}

bool isAddressWithPrefix(const std::string& text) {
  size_t slash = text.find('/');
  in_addr address;
  int prefix = 0;
  char end;
  return slash != std::string::npos && inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) == 1 &&
         sscanf(text.c_str() + slash + 1, "%d%c", &prefix, &end) == 1 && prefix >= 0 && prefix <= 32;
}

class Fields {
 public:
  Fields(const std::string& name, const Json& value) : name_(name), value_(value) {}

  Error refuse(const std::string& field, const std::string& rule) const { return badRequest("device " + name_ + ", field `" + field + "`: " + rule); }

  Status text(const char* field, std::string& target, bool (*rule)(const std::string&), const char* meaning, bool needed) {
    if (!present(value_, field)) return needed ? Status(refuse(field, std::string("is missing; must be ") + meaning)) : Status();
    if (!value_[field].is_string()) return refuse(field, std::string("must be ") + meaning);
    target = value_[field].get<std::string>();
    // Beyond a zero byte the kernel's functions would not look.
    if (target.find('\0') != std::string::npos || !rule(target)) return refuse(field, "`" + target.substr(0, 64) + "` is not " + meaning);
    return {};
  }
  template <class Number>
  Status number(const char* field, Number& target, int64_t most, int64_t least = 0) {
    if (!present(value_, field)) return {};
    auto parsed = integerField(value_, field, least, most);
    if (!parsed.ok()) return refuse(field, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    target = static_cast<Number>(parsed.value());
    return {};
  }
  bool has(const char* field) const { return present(value_, field); }
  Status flag(const char* field, bool& target) {
    if (!present(value_, field)) return {};
    if (!value_[field].is_boolean()) return refuse(field, "must be true or false");
    target = value_[field].get<bool>();
    return {};
  }

 private:
  const std::string& name_;
  const Json& value_;
};

/** `/dev/…` by its number, whether the host has a file for it or not. */
Status parseNumber(Fields& fields, Device& device) {
  unsigned major = 0, minor = 0;
  if (!fields.has("major") || !fields.has("minor") || !fields.has("path")) return fields.refuse("source", "is missing; or all of `major`, `minor` and `path`");
  DROVER_TRY(fields.number("major", major, 4095));
  DROVER_TRY(fields.number("minor", minor, 1'048'575));
  device.number = makedev(major, minor);
  return {};
}

constexpr const char* pathMeaning = "an absolute path without `.` and `..`";

Result<Device> parseDevice(const std::string& name, const Json& value) {
  Device device;
  device.name = name;
  device.text = value.dump();
  Fields fields(name, value);
  if (!isLabel(name, 32)) return badRequest("field `devices`: the name `" + name.substr(0, 64) + "` is not 1 to 32 of [a-z0-9-]");
  if (!value.is_object() || !present(value, "type") || !value["type"].is_string()) return fields.refuse("type", "is missing");
  auto type = std::find_if(std::begin(types), std::end(types), [&](const auto& known) { return value["type"] == known.first; });
  if (type == std::end(types)) return fields.refuse("type", "must be one of char, block, bind, nic, gpu, usb, proxy, tmpfs, volume");
  device.type = type->second;
  auto label = [](const std::string& text) { return isLabel(text, 15); };
  switch (device.type) {
    case Device::Type::character:
    case Device::Type::block:
    case Device::Type::bind:
      DROVER_TRY(fields.text("source", device.source, isPlainPath, pathMeaning, device.type == Device::Type::bind));
      if (device.source.empty()) DROVER_TRY(parseNumber(fields, device));
      device.path = device.source;
      DROVER_TRY(fields.text("path", device.path, isPlainPath, pathMeaning, false));
      break;
    case Device::Type::volume:
      DROVER_TRY(fields.text("source", device.source, isPlainPath, pathMeaning, true));
      DROVER_TRY(fields.text("path", device.path, isPlainPath, pathMeaning, true));
      device.type = Device::Type::bind;
      device.exclusive = true;
      break;
    case Device::Type::nic:
      device.path = name.substr(0, 15);
      DROVER_TRY(fields.text("bridge", device.bridge, [](const std::string& text) { return !text.empty() && text.size() <= 15 && text.find('/') == std::string::npos; }, "the name of a bridge", true));
      DROVER_TRY(fields.text("interface", device.path, label, "1 to 15 of [a-z0-9-]", false));
      DROVER_TRY(fields.text("mac", device.mac, isMac, "a unicast MAC address", false));
      DROVER_TRY(fields.text("ipv4", device.ipv4, isAddressWithPrefix, "an IPv4 address with prefix length", false));
      DROVER_TRY(fields.text("ipv6", device.ipv6, isAddress6WithPrefix, "an IPv6 address with prefix length", false));
      DROVER_TRY(fields.number("mtu", device.mtu, 65'535, 68));
      DROVER_TRY(fields.number("queue", device.queueLength, 1'000'000, 1));
      DROVER_TRY(fields.flag("isolated", device.isolated));
      if (device.path == "eth0" || device.path == "lo") return fields.refuse("interface", "`" + device.path + "` is there already");
      break;
    case Device::Type::gpu:
      DROVER_TRY(fields.text("vendor", device.vendor, [](const std::string& text) { return text == "nvidia" || text == "amd" || text == "intel" || text == "any"; }, "one of nvidia, amd, intel, any", true));
      break;
    case Device::Type::usb:
      DROVER_TRY(fields.text("vendor", device.vendor, [](const std::string& text) { return isHex(text, 4); }, "four hex digits", true));
      DROVER_TRY(fields.text("product", device.product, [](const std::string& text) { return isHex(text, 4); }, "four hex digits", false));
      DROVER_TRY(fields.text("serial", device.serial, isSerial, "1 to 126 printable characters", false));
      DROVER_TRY(fields.number("bus", device.bus, 999, 1));
      DROVER_TRY(fields.number("address", device.address, 127, 1));
      break;
    case Device::Type::tmpfs:
      device.mode = 0755;
      DROVER_TRY(fields.text("path", device.path, isPlainPath, pathMeaning, true));
      if (!fields.has("sizeBytes")) return fields.refuse("sizeBytes", "is missing");
      DROVER_TRY(fields.number("sizeBytes", device.sizeBytes, int64_t{1} << 50, 4096));
      break;
    case Device::Type::proxy: {
      auto address = [](const std::string& text) { return parseProxyAddress(text).has_value(); };
      constexpr const char* meaning = "tcp:ADDRESS:PORT, udp:ADDRESS:PORT (IPv6 in brackets) or unix:/PATH";
      DROVER_TRY(fields.text("listen", device.listen, address, meaning, true));
      DROVER_TRY(fields.text("connect", device.connect, address, meaning, true));
      if (parseProxyAddress(device.listen)->stream() != parseProxyAddress(device.connect)->stream()) return fields.refuse("connect", "udp goes to udp only, tcp and unix to tcp and unix");
      break;
    }
  }
  DROVER_TRY(fields.number("mode", device.mode, 0777));
  DROVER_TRY(fields.number("uid", device.uid, 65535));
  DROVER_TRY(fields.number("gid", device.gid, 65535));
  DROVER_TRY(fields.flag("readonly", device.readOnly));
  if (device.exclusive) return device;
  DROVER_TRY(fields.flag("shared", device.shared));
  DROVER_TRY(fields.flag("recursive", device.recursive));
  DROVER_TRY(fields.flag("required", device.required));
  return device;
}

}  // namespace

Result<std::vector<Device>> parseDevices(const Json& value) {
  if (!value.is_object()) return badRequest("field `devices`: must be an object");
  if (value.size() > mostDevices)
    return badRequest("field `devices`: " + std::to_string(value.size()) + " devices, the limit is " + std::to_string(mostDevices));
  std::vector<Device> devices;
  for (const auto& [name, entry] : value.items()) {
    DROVER_TRY_ASSIGN(device, parseDevice(name, entry));
    for (const auto& other : devices)
      if (device.path == other.path && !device.path.empty())
        return badRequest("field `devices`: " + other.name + " and " + device.name + " are both " + device.path + " in the container");
    devices.push_back(std::move(device));
  }
  return devices;
}

Json devicesToJson(const std::vector<Device>& devices) {
  Json value = Json::object();
  for (const auto& device : devices) value[device.name] = Json::parse(device.text);
  return value;
}

}  // namespace drover
