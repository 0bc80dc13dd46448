// The way of an exec'ed command from fork to execve. Runs in the child.
#pragma once

#include <sys/types.h>

#include <vector>

#include "kernel_settings.h"
#include "seccomp_profile.h"

namespace drover {

struct ExecPlan {
  int sync;
  int initPidfd;
  std::vector<int> taskFiles;
  bool terminal;
  unsigned short columns, rows;
  /** Pipe ends, without a terminal. */
  int input, output, errors;
  uid_t uid;
  gid_t gid;
  /** Supplementary groups. */
  const gid_t* groups;
  size_t groupCount;
  /** Null: the home directory, else the root. */
  const char* directory;
  const char* home;
  /** Paths to try, in order. */
  std::vector<const char*> candidates;
  char* const* arguments;
  char* const* environment;
  std::span<const sock_filter> seccomp;
  uint64_t lackingCapabilities;
  /** Without a user namespace to enter. */
  bool privileged;
  const ResourceLimits* rlimits;
};

/** Names of the stages that ChildFailure::stage counts; the last one is execve. */
extern const char* const execStages[];
constexpr int execStageExecute = 7;

[[noreturn]] void runExec(const ExecPlan& plan);

}  // namespace drover
