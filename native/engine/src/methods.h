// The socket's methods (packages/engine/src/messages.ts): takes checked calls (request.h), queues the work, answers. Loop's thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "connection.h"
#include "engine.h"
#include "exec.h"
#include "move_calls.h"
#include "request.h"

namespace drover {

class Methods {
 public:
  explicit Methods(Engine& engine);
  void serve(const std::shared_ptr<Connection>& connection);

 private:
  using Json = nlohmann::json;
  /** Callable from any thread, once. */
  using Respond = std::function<void(Result<Json>)>;
  using Operation = std::function<Result<Json>(const std::shared_ptr<Container>&)>;
  struct Waiter {
    Respond respond;
    uint64_t timer;
  };

  void received(const std::shared_ptr<Connection>& connection, FrameType type, std::string_view payload);
  void dispatch(const Call& call, const Respond& respond);
  void makeThen(const Spec& spec, const Respond& respond, std::function<void(std::shared_ptr<Container>)> next);
  /** Checks the epoch on the container's queue, runs the operation there. */
  void onContainer(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond, Operation operation);
  /** A call of a move: its answer comes before the news of what it has changed. */
  Respond answeredFirst(const std::shared_ptr<Container>& container, const Respond& respond);
  void queue(const std::shared_ptr<Container>& container, const std::string& method, const Respond& respond, Operation operation);
  void stop(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond);
  void kill(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond);
  /** file…, processes, usage: no epoch, as they change nothing that a move or another host decides on. */
  void inside(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond);
  /** Answers when the container has no init, or calls `late` at the deadline. */
  void whenEnded(const std::shared_ptr<Container>& container, int64_t timeoutMs, const Respond& respond, std::function<void()> late);
  void changed(const std::shared_ptr<Container>& container);

  Engine& engine_;
  ExecSessions execs_;
  MoveCalls moveCalls_;
  std::map<std::string, std::list<Waiter>> waiters_;
  std::set<std::shared_ptr<Connection>> subscribers_;
};

}  // namespace drover
