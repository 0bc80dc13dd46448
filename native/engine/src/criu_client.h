// One `criu swrk` process and the conversation with it: spawn early (before the freeze), send the request when its time has
// come, serve the notifications, read the answer. A conversation has a deadline; past it CRIU gets SIGKILL (restores were seen
// to ignore SIGTERM). Knows nothing of containers. See https://criu.org/RPC; message layouts are in criu_rpc.proto.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "unique_fd.h"

namespace drover {

struct CriuRequest {
  enum class Kind { dump, restore, version, warm };
  /** warm: makes CRIU probe the kernel and keep what it found in /run, so that later requests need not. */
  Kind kind = Kind::version;
  /** Open directory with the images; CRIU's error log `criu.log` lands there too. */
  int directory = -1;
  /** Dump: root of the process tree. */
  pid_t pid = 0;
  /**
   * Dump: stops the container. Called when CRIU is ready and has yet to look at it, or at the latest before it is asked; false: the
   * dump is given up, and CRIU has done nothing.
   */
  std::function<bool()> stop = nullptr;
  /** Dump: called right after `stop`, while CRIU already seizes the tasks: before any notification that comes after that is served. */
  std::function<void()> beside = nullptr;
  /** Dump: what CRIU gets as it is let in (preload/mapping_texts.h); -1: nothing. */
  int mappingTexts = -1;
  /** Dump: the tasks go on after it (into the state that their freezer had before it). */
  bool leaveRunning = false;
  /** Dump: the images that hold what is not written since, relative to the directory; empty: none. */
  std::string parentImages = {};
  /** Mount point of the root file system of the tree; empty: the host's own root. */
  std::string root = {};
  /** Dump: directory of the freezer cgroup; empty: tasks are seized one by one. */
  std::string freezeCgroup = {};
  /** Save and restore which cgroups the tasks are in, and make those that are missing. */
  bool manageCgroups = false;
  /** With manageCgroups: a directory with each hierarchy mounted under its name, which saves CRIU its own mounts; may be empty. */
  std::string cgroupYard = {};
  /** Success is answered at once: the tasks are let go of and the images written by then. `end` is for the caller to call when there is time. */
  bool leaves = false;
  /** Mounts that are not part of the images, as CRIU's option of that name says it. */
  std::vector<std::string> external = {};
};

struct CriuAnswer {
  bool success = false;
  /** Restore: the new root of the tree. */
  pid_t pid = 0;
  /** version: major * 10000 + minor * 100 + sublevel. */
  int version = 0;
  /** What CRIU says went wrong: its answer's message, else the end of its error log, else how it ended. */
  std::string error;
};

/** What the library of preload/ is told; all of it without effect where that was not installed. */
struct CriuHints {
  /** One of many: a copy of one that is kept warm, where that can be had. */
  bool ofMove = false;
  /** Waits before it looks at the container (a dump) or at its images (a restore). */
  bool gated = false;
  /** Dump: the container's own cgroup, whose properties are left out; empty: none is. */
  std::string ownCgroup = {};
  /** Dump: the first of the container's owners on this host, and how many there are; 0: not known. */
  uint32_t firstOwner = 0;
  uint32_t owners = 0;
};

/** Called for each notification (`setup-namespaces`, `pre-resume`, …) with the pid of the tree's root; false: CRIU gives up. */
using CriuNotify = std::function<bool(std::string_view script, pid_t pid)>;

class CriuProcess {
 public:
  /** Starts `binary swrk`. Null and `error` when it can't. */
  static std::unique_ptr<CriuProcess> spawn(const std::string& binary, std::string& error, const CriuHints& hints = {});
  /** SIGKILLs what still runs and reaps it. */
  ~CriuProcess();
  CriuProcess(const CriuProcess&) = delete;
  CriuProcess& operator=(const CriuProcess&) = delete;

  pid_t pid() const { return pid_; }
  /** Ahead of `run`, with the same request: a gated restore gets itself ready, before its images are there. */
  bool ask(const CriuRequest& request);
  /** Whether one that was asked ahead waits at its gate, or will before the deadline. */
  bool waits(std::chrono::milliseconds deadline);
  /** At its gate a restore takes part `number` of the memory that was sent ahead (preload/staged_pages.h). False: it has none of it. */
  bool stage(uint32_t number, std::chrono::milliseconds deadline);
  /** Waits for the process to end by itself (1–2 ms), and ends it if it does not. */
  void end();
  CriuAnswer run(const CriuRequest& request, std::chrono::milliseconds deadline, const CriuNotify& notify);

 private:
  using CriuStart = pid_t(const std::string& binary, const std::vector<int>& descriptors, const std::vector<std::string>& environment);
  static std::unique_ptr<CriuProcess> start(const std::string& binary, std::string& error, const CriuHints& hints, CriuStart* way);
  CriuProcess(pid_t pid, int pidfd, int socket, UniqueFd gate) : pid_(pid), pidfd_(pidfd), socket_(socket), gate_(std::move(gate)) {}
  bool send(const void* request);
  bool answerNotification(bool success);
  /** Waits until CRIU is at the gate, stops the container and lets CRIU in. What went wrong; empty: nothing, or the conversation tells. */
  std::string passGate(const CriuRequest& request, const CriuNotify& notify);
  /** Waits for the process's end until the deadline, then kills it. Returns its wait status, -1 if someone else reaped it. */
  int finish(std::chrono::steady_clock::time_point until);

  pid_t pid_;
  int pidfd_;
  int socket_;
  /** Closed: there is none, or it has been passed. */
  UniqueFd gate_;
  bool asked_ = false;
  /** It has said that it is at the gate. */
  bool atGate_ = false;
  /** Its session, once a signal has ended it: what it had started is left to the engine. 0: it ended by itself. */
  pid_t killedSession_ = 0;
};

/** Removes the directory in which a criu that is dead may have begun to put mounts together (preload/criu_quick.c, 8). */
void removeYard(pid_t criu);
/** "4.2.1"; empty if the answer has no version. */
std::string criuVersionText(const CriuAnswer& answer);
/** Removes CRIU's log, unless DROVER_CRIU_LOG_LEVEL (up to 4) asks for more than errors: then somebody wants to read it. */
void forgetLog(int directory);
/** The end of CRIU's error log in `directory` (harmless lines left out), at most `maximum` bytes; empty if there is none. */
std::string criuErrors(int directory, size_t maximum = 600);

}  // namespace drover
