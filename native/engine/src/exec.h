// Commands run inside a running container. The child enters through init's pidfd: its PID namespace before the fork (so that
// no helper stays between), its cgroups, then all other namespaces. It is the engine's own child, so its exit code is known; whatever
// it leaves behind belongs to the container's init. A terminal is made inside the container's devpts.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "connection.h"
#include "container.h"
#include "engine.h"
#include "exec_request.h"

namespace drover {

/** A command that runs, as the worker that started it hands it over. */
struct StartedExec {
  pid_t pid = 0;
  UniqueFd pidfd;
  /** A terminal's master, or null and the three pipes. */
  UniqueFd terminal, input, output, errors;
  /** When execve failed: what the shell would say, and its exit code. */
  std::string failure;
  int failureCode = 0;
};

/** On a worker; blocks until execve has succeeded or failed. */
Result<StartedExec> startExec(Engine& engine, Container& container, const ExecRequest& request);

class ExecSession;
/** All sessions; loop's thread. */
class ExecSessions {
 public:
  explicit ExecSessions(Engine& engine) : engine_(engine) {}
  /** Takes the connection over and answers request `id` on it. */
  void begin(const std::shared_ptr<Connection>& connection, const nlohmann::json& id, const ExecRequest& request);
  /** Kills the sessions of a container and tells their clients; `done` when they are reaped. */
  void end(const std::string& container, std::function<void()> done);

 private:
  void finishEnds();
  Engine& engine_;
  std::map<pid_t, std::shared_ptr<ExecSession>> sessions_;
  std::vector<std::pair<std::string, std::function<void()>>> ends_;
};

}  // namespace drover
