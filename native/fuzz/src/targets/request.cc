// One request: whatever is accepted keeps what the methods rely on, and whatever is refused can be answered.
#include "request.h"

#include "json_io.h"
#include "proxy_address.h"
#include "target.h"

using namespace drover;

namespace {

void mustBeAnswerable(const Json& id, const Error& error) {
  must(!error.code.empty() && !error.message.empty(), "a refusal has a code and a message");
  must(toText({{"id", id}, {"error", {{"code", error.code}, {"message", error.message}}}}).size() < maxFrameBytes, "a refusal fits into a frame");
}

bool absolute(const std::string& path) { return path.starts_with('/') && path.find('\0') == std::string::npos; }

void mustBeSound(const std::vector<Device>& devices) {
  auto again = parseDevices(devicesToJson(devices));
  must(again.ok() && again.value() == devices, "devices come back from their record");
  for (const auto& device : devices) {
    for (const auto* text : {&device.source, &device.path, &device.bridge, &device.mac, &device.ipv4, &device.ipv6, &device.vendor, &device.product, &device.serial, &device.listen, &device.connect})
      must(text->find('\0') == std::string::npos, "a device's words end where they end");
    must((device.mode & ~0777U) == 0 && device.uid < uidRange && device.gid < uidRange, "a node is the container's");
    must(device.type != Device::Type::proxy || (parseProxyAddress(device.listen) && parseProxyAddress(device.connect)), "a proxy leads from somewhere to somewhere");
    must(device.source.empty() || absolute(device.source), "a source is an absolute path");
  }
}

void mustBeSound(const Call& call) {
  must(call.container.empty() || isContainerId(call.container), "a container's id is one");
  must(call.container.find_first_of("/.") == std::string::npos, "a container's id leads nowhere");
  must(call.epoch >= 0 && call.timeoutMs >= 0 && call.starts >= 0, "numbers are in range");
  must(call.signal >= 0 && call.signal <= 64, "a signal is one");
  must(call.limit >= 0 && call.limit <= static_cast<int64_t>(maxFrameBytes), "an answer is bounded");
  must(call.directory.empty() || absolute(call.directory), "a directory is an absolute path");
  for (const auto* path : {&call.tree.index, &call.tree.details, &call.tree.pack, &call.tree.unpack}) must(path->empty() || absolute(*path), "a file for a tree has an absolute path");
  for (const auto& path : call.tree.changed) must(!path.empty() && path.front() != '/' && path.find('\0') == std::string::npos, "what has changed lies in the layer");
  for (const auto& time : call.tree.times) {
    must(!time.path.empty() && time.path.front() != '/' && time.path.find('\0') == std::string::npos, "what gets a time lies in the layer");
    must(time.seconds >= 0 && time.nanoseconds >= 0 && time.nanoseconds < 1'000'000'000, "a time is one");
  }
  if (call.spec) {
    must(isContainerId(call.spec->container) && absolute(call.spec->rootfs) && absolute(call.spec->init.at(0)), "a spec is sound");
    must(call.spec->identity.uidBase >= uidRange, "no container gets the host's own ids");
    mustBeSound(call.spec->devices);
    const Json json = specToJson(*call.spec);
    auto again = parseSpec(json);
    must(again.ok() && specToJson(again.value()) == json, "a spec comes back from its record");
  }
  if (call.devices) mustBeSound(*call.devices);
  if (call.limits) {
    auto again = parseLimits(limitsToJson(*call.limits));
    must(again.ok() && again.value() == *call.limits, "limits come back from their record");
  }
  if (call.security) {
    auto again = parseSecurity(securityToJson(*call.security));
    must(again.ok() && again.value() == *call.security, "a security comes back from its record");
    must((call.security->addedCapabilities & call.security->droppedCapabilities) == 0, "no capability is both added and dropped");
  }
  if (call.sysctls) {
    auto again = parseSysctls(sysctlsToJson(*call.sysctls));
    must(again.ok() && again.value() == *call.sysctls, "sysctls come back from their record");
    for (const auto& [name, value] : *call.sysctls) {
      const std::string path = "/" + sysctlPath(name) + "/";
      must(path.size() > 2 && path.find("/../") == std::string::npos && path.find("//") == std::string::npos, "a sysctl stays below its root");
    }
  }
  if (call.rlimits) {
    auto again = parseResourceLimits(resourceLimitsToJson(*call.rlimits));
    must(again.ok() && again.value() == *call.rlimits, "resource limits come back from their record");
  }
  if (call.file) {
    must(absolute(call.file->path), "a file's path is absolute");
    must(call.file->offset >= 0 && call.file->limit >= 0 && call.file->limit <= mostFileBytes, "a piece is bounded");
    must(static_cast<int64_t>(call.file->data.size()) <= mostFileBytes + 3, "data is bounded");
    must(call.file->owner.uid.value_or(0) < uidRange && call.file->owner.gid.value_or(0) < uidRange, "an owner is the container's");
  }
  if (call.exec) {
    must(!call.exec->command.empty() && !call.exec->command[0].empty(), "a command has a name");
    must(call.exec->uid < uidRange && call.exec->gid < uidRange, "a user is the container's");
  }
}

void run(std::string_view input) {
  Json id = nullptr;
  auto request = parseRequest(FrameType::json, input, id);
  if (!request.ok()) return mustBeAnswerable(id, request.error());
  auto call = parseCall(request.value());
  if (!call.ok()) return mustBeAnswerable(id, call.error());
  mustBeSound(call.value());
}

const Registered registered("request", run);

}  // namespace
