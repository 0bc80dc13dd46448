// The text of /proc/PID/{status,stat,io,cgroup,fdinfo/FD} and of statistics of cgroups, as the kernel writes it (proc(5), cgroup-v2.rst,
// cgroup-v1/blkio-controller.rst). A process chooses its own name, which is in there. No effects; fuzzed as `process-text`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/** The number after `key` at the start of a line; none: -1. */
int64_t numberAfter(std::string_view text, std::string_view key);
/** The last number of the line that starts with `key`: a pid as the innermost namespace has it. None: 0. */
int64_t lastNumberAfter(std::string_view text, std::string_view key);
/** The number of a line `key number`; none: 0. */
int64_t numberOfKey(std::string_view text, std::string_view key);

struct ProcessStat {
  std::string name;
  char state = '?';
  int64_t parentPid = 0;
  /** User and system, in ticks. */
  int64_t ticks = 0;
  int64_t threads = 0;
  uint64_t startTime = 0;
  /** As waitpid gives it; only there of a zombie, and only for those who may trace it. */
  std::optional<int> exitStatus;
};
/** None when it is cut off before the start time. */
std::optional<ProcessStat> parseProcessStat(std::string_view text);

/** Path in the hierarchy: the unified one for an empty controller, else that controller's of version 1. */
std::optional<std::string> cgroupIn(std::string_view text, std::string_view controller);

struct Traffic {
  int64_t read = 0, written = 0;
};
/** `8:0 rbytes=1 wbytes=2 …` (v2), `8:0 Read 1` (v1), summed over devices. */
Traffic parseTraffic(std::string_view text);

/** A file or directory that an inotify or fanotify descriptor watches: the file system's number as the kernel has it, and a handle. */
struct WatchMark {
  uint64_t device = 0;
  uint64_t number = 0;
  int handleType = 0;
  /** Empty: the kernel could make none, as overlayfs can't of a file whose name isn't cached. */
  std::string handle;
};
/** Those on files and directories that a fdinfo tells of (Documentation/filesystems/proc.rst). */
std::vector<WatchMark> parseWatchMarks(std::string_view text);

/** The `task` of a line of the kernel's log about a kill in that cgroup (mm/oom_kill.c); empty: it isn't about one. */
std::string oomVictimIn(std::string_view line, std::string_view cgroup);

}  // namespace drover
