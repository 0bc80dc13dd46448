// Text and datagrams of the kernel's, in which processes and mounts have chosen some of the words.
#include <linux/bpf.h>

#include "device_rule.h"
#include "memory_map.h"
#include "mountinfo.h"
#include "netlink_message.h"
#include "process_text.h"
#include "target.h"
#include "words.h"

using namespace drover;

namespace {

void runMountinfo(std::string_view input) {
  constexpr size_t most = 50;
  const auto mounts = parseMountinfo(input, most);
  must(mounts.size() <= most, "mounts are bounded");
  for (const auto& mount : mounts) must(mount.path.size() <= input.size() && mount.type.find('\n') == std::string::npos, "a mount is one line");
}

void runProcessText(std::string_view input) {
  numberAfter(input, "Uid:");
  lastNumberAfter(input, "NSpid:");
  numberOfKey(input, "usage_usec");
  if (auto stat = parseProcessStat(input)) {
    must(stat->name.size() < input.size() && stat->ticks <= INT64_MAX, "a name is a part of it");
    must(!stat->exitStatus || stat->state == 'Z', "only a zombie has an exit status");
  }
  for (const char* controller : {"", "freezer"})
    if (auto path = cgroupIn(input, controller)) must(path->find('\n') == std::string::npos, "a cgroup is one line");
  parseTraffic(input);
  for (const auto& mark : parseWatchMarks(input)) must(mark.handle.size() * 2 < input.size(), "a handle is in the text");
}

void runMemoryMap(std::string_view input) {
  for (auto line : splitAt(input, '\n')) {
    auto mapping = parseMapping(line);
    if (mapping) must(mapping->start < mapping->end && mapping->name.size() < line.size(), "a mapping has pages, and its name is a part of the line");
  }
  if (auto vdso = vdsoIn(input)) must(vdso->start < vdso->end && vdso->inode == 0 && vdso->name == "[vdso]", "the vDSO is the kernel's");
}

/** A line of the log, a newline, the cgroup that is asked for. */
void runKernelLog(std::string_view input) {
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string victim = oomVictimIn(input.substr(0, end), input.substr(std::min(end + 1, input.size())));
  must(victim.find_first_of(",\n") == std::string::npos && victim.size() < std::max<size_t>(input.size(), 1), "a victim is a word of the line");
}

/** What is accepted comes back from its own words. */
void runDeviceRules(std::string_view input) {
  auto rule = parseDeviceRule(input);
  if (!rule) return;
  must(rule->access != 0, "a rule allows something");
  std::string text = std::string(rule->block ? "b " : "c ") + std::to_string(rule->major) + ":" + (rule->minor ? std::to_string(*rule->minor) : "*") + " ";
  for (auto [bit, letter] : {std::pair{BPF_DEVCG_ACC_READ, 'r'}, {BPF_DEVCG_ACC_WRITE, 'w'}, {BPF_DEVCG_ACC_MKNOD, 'm'}})
    if (rule->access & static_cast<uint32_t>(bit)) text += letter;
  auto again = parseDeviceRule(text);
  must(again && again->block == rule->block && again->major == rule->major && again->minor == rule->minor && again->access == rule->access, "a rule comes back");
}

void runNetlink(std::string_view input) {
  if (auto result = netlinkResult(input)) must(*result >= 0 && *result < 4096, "a result is an errno");
}

const Registered registeredMounts("mountinfo", runMountinfo), registeredProcess("process-text", runProcessText), registeredNetlink("netlink", runNetlink);
const Registered registeredMaps("memory-map", runMemoryMap), registeredLog("kernel-log", runKernelLog);
const Registered registeredDevices("device-rules", runDeviceRules);

}  // namespace
