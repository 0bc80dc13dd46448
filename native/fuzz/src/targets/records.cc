// What the engine reads back from disk: its configuration, a container's record, the cgroups beside CRIU's images.
#include "cgroup_tree.h"
#include "json_io.h"
#include "record.h"
#include "target.h"

using namespace drover;

namespace {

void runRecord(std::string_view input) {
  auto record = parseRecord(input);
  if (!record.ok()) return;
  must(isContainerId(record.value().spec.container), "a record names a container");
  const std::string text = recordToText(record.value());
  auto again = parseRecord(text);
  must(again.ok() && recordToText(again.value()) == text, "a record that is written comes back");
}

void runConfig(std::string_view input) {
  auto config = parseConfig(input);
  if (!config.ok()) return;
  must(config.value().stateDirectory.starts_with('/'), "the state directory is an absolute path");
  must(config.value().cgroup.find("..") == std::string::npos, "the cgroup leads nowhere else");
}

void runTree(std::string_view input) {
  auto tree = parseCgroupTree(input);
  if (!tree.ok()) return;
  for (const auto& cgroup : tree.value()) {
    must(!cgroup.path.empty() && cgroup.path.front() != '/' && cgroup.path.find('\0') == std::string::npos, "a cgroup's path is relative");
    must(("/" + cgroup.path + "/").find("/../") == std::string::npos, "a cgroup's path stays inside");
    for (const auto& owner : cgroup.owners) must(!owner || (owner->uid != UINT32_MAX && owner->gid != UINT32_MAX), "an owner is one");
  }
}

const Registered registeredRecord("record", runRecord), registeredConfig("config", runConfig), registeredTree("cgroup-tree", runTree);

}  // namespace
