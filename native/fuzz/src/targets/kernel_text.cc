// Text and datagrams of the kernel's, in which processes and mounts have chosen some of the words.
#include "mountinfo.h"
#include "netlink_message.h"
#include "process_text.h"
#include "target.h"

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

void runNetlink(std::string_view input) {
  if (auto result = netlinkResult(input)) must(*result >= 0 && *result < 4096, "a result is an errno");
}

const Registered registeredMounts("mountinfo", runMountinfo), registeredProcess("process-text", runProcessText), registeredNetlink("netlink", runNetlink);

}  // namespace
