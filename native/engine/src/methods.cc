// Requests to answers. See methods.h. What takes time runs on the container's queue; waiting is done by the loop.
#include "methods.h"

#include <signal.h>
#include <sys/utsname.h>

#include "checkpoint.h"
#include "console.h"
#include "disk_limit.h"
#include "disk_replace.h"
#include "file_io.h"
#include "inside_files.h"
#include "json_io.h"
#include "lifecycle.h"
#include "log.h"
#include "memory_copy.h"
#include "pidfd.h"
#include "preflight.h"
#include "processes.h"
#include "rename.h"
#include "start.h"
#include "tree_hash.h"

namespace drover {

namespace {

constexpr int protocolVersion = 1;
constexpr const char* engineVersion = "0.1.0";
constexpr int mostRequestsPerConnection = 256;
/** SIGKILL has been sent: what is left is the kernel's work. */
constexpr int64_t afterKillMs = 20'000;
/** News with the answer would be read with it, and worked on first. The next call of the move mostly comes before, and says more. */
constexpr int64_t newsAfterMs = 50;

Json errorJson(const Error& error) {
  bool retryable = error.code == "LIMIT_REACHED" || error.code == "TIMED_OUT";
  return {{"code", error.code}, {"message", error.message}, {"retryable", retryable}, {"context", Json::object()}};
}

int64_t residentBytes() {
  auto content = readFile("/proc/self/statm", 256);
  if (!content.ok()) return 0;
  size_t space = content.value().find(' ');
  return space == std::string::npos ? 0 : strtoll(content.value().c_str() + space, nullptr, 10) * sysconf(_SC_PAGESIZE);
}

Result<Json> hello(const Engine& engine, int64_t version) {
  if (version != protocolVersion)
    return Error{"VERSION_MISMATCH", "hello: the client speaks protocol " + std::to_string(version) + ", this engine " + std::to_string(protocolVersion)};
  utsname system;
  uname(&system);
  return Json{
      {"version", engineVersion},
      {"protocolVersion", protocolVersion},
      {"pid", getpid()},
      {"cgroup", engine.cgroups().mode()},
      {"kernel", system.release},
      {"architecture", system.machine},
      {"residentBytes", residentBytes()},
      {"criu", criuInfo(engine.config())},
      {"diskLimits", limitsDisks(engine.config().stateDirectory)},
      {"packsLayers", true},
      {"patchesFiles", true},
      {"volumes", true},
  };
}

}  // namespace

Methods::Methods(Engine& engine) : engine_(engine), execs_(engine) {
  engine_.onChange = [this](const std::shared_ptr<Container>& container) { changed(container); };
  engine_.onImagesComplete = [this](const std::string& container, bool diskStands) { moveCalls_.imagesComplete(container, diskStands); };
  engine_.onEndExecSessions = [this](const std::string& container, std::function<void()> done) { execs_.end(container, std::move(done)); };
}

void Methods::serve(const std::shared_ptr<Connection>& connection) {
  std::weak_ptr weak = connection;
  connection->onFrame = [this, weak](FrameType type, std::string_view payload) {
    if (auto open = weak.lock()) received(open, type, payload);
  };
  connection->onClosed = [this, weak] {
    if (auto closed = weak.lock()) subscribers_.erase(closed);
  };
}

void Methods::received(const std::shared_ptr<Connection>& connection, FrameType type, std::string_view payload) {
  Json id = nullptr;
  auto refuse = [&](const Error& error) { connection->sendJson({{"id", id}, {"error", errorJson(error)}}); };
  auto request = parseRequest(type, payload, id);
  if (!request.ok()) return refuse(request.error());
  auto parsed = parseCall(request.value());
  if (!parsed.ok()) return refuse(parsed.error());
  const Call& call = parsed.value();
  if (connection->requests >= mostRequestsPerConnection)
    return refuse({"LIMIT_REACHED", "this connection has " + std::to_string(mostRequestsPerConnection) + " requests under way, the limit"});

  if (call.exec) return execs_.begin(connection, id, *call.exec);
  if (call.method == "subscribe") {
    connection->sendJson({{"id", id}, {"result", nullptr}});
    if (connection->open()) subscribers_.insert(connection);
    return;
  }
  ++connection->requests;
  std::weak_ptr weak = connection;
  Respond respond = [this, weak, id](Result<Json> result) {
    engine_.loop().post([weak, id, result = std::move(result)]() mutable {
      auto open = weak.lock();
      if (!open) return;
      --open->requests;
      if (!result.ok()) open->sendJson({{"id", id}, {"error", errorJson(result.error())}});
      else if (!open->sendJson({{"id", id}, {"result", std::move(result.value())}}))
        open->sendJson({{"id", id}, {"error", errorJson({"TOO_LARGE", "the answer is over " + std::to_string(maxFrameBytes) + " bytes, the limit of a frame"})}});
    });
  };
  dispatch(call, respond);
}

void Methods::dispatch(const Call& call, const Respond& respond) {
  Engine& engine = engine_;
  const std::string& method = call.method;
  if (method == "hello") return respond(hello(engine, call.protocolVersion));
  if (method == "list") {
    bool queued = engine.submit([&engine, respond] {
      Json containers = Json::array();
      for (const auto& container : engine.all()) containers.push_back(engine.describe(*container));
      respond(Json{{"containers", std::move(containers)}});
    });
    if (!queued) respond(Error{"LIMIT_REACHED", "list: too many operations wait"});
    return;
  }
  if (method == "lease") {
    Status renewed = engine.lease().renew(call.untilMs, call.leases);
    return renewed.ok() ? respond(Json(nullptr)) : respond(renewed.error());
  }
  if (method == "create")
    return makeThen(*call.spec, respond, [&engine, respond](std::shared_ptr<Container> container) { respond(engine.describe(*container)); });
  if (method == "prepareRestore")
    return makeThen(*call.spec, respond, [this, respond, arrival = Arrival{call.startedAtMs, call.starts, call.frozen, call.memoryRoomBytes, call.directory}](std::shared_ptr<Container> container) {
      queue(container, "prepareRestore", respond, [this, arrival](const auto& queued) { return prepareRestore(engine_, queued, arrival); });
    });

  // All that follow are about one container.
  auto container = engine.find(call.container);
  // Deleted already.
  if (!container && method == "delete") return respond(Json(nullptr));
  if (!container) return respond(Error{"CONTAINER_NOT_FOUND", method + " " + call.container + ": this host has no such container"});
  if (method == "get") return respond(engine.describe(*container));
  if (method == "wait") return whenEnded(container, call.timeoutMs, respond, [&engine, container, respond] { respond(engine.describe(*container)); });
  if (method == "logs") {
    bool queued = engine.submit([container, respond, offset = call.offset, limit = call.limit] { respond(readConsole(*container, offset, limit)); });
    if (!queued) respond(Error{"LIMIT_REACHED", "logs: too many operations wait"});
    return;
  }
  if (call.file || method == "processes" || method == "usage" || method == "preflight") return inside(call, container, respond);
  if (method == "delete")
    return onContainer(call, container, respond, [&engine, keep = call.directory](const auto& queued) -> Result<Json> {
      DROVER_TRY(engine.removeContainer(queued, keep));
      return Json(nullptr);
    });
  auto described = [&engine](Status (*operation)(Engine&, const std::shared_ptr<Container>&)) {
    return [&engine, operation](const std::shared_ptr<Container>& container) -> Result<Json> {
      DROVER_TRY(operation(engine, container));
      return engine.describe(*container);
    };
  };
  if (method == "start") return onContainer(call, container, respond, described(startContainer));
  if (method == "freeze") return onContainer(call, container, respond, described(freezeContainer));
  if (method == "thaw") return onContainer(call, container, respond, described(thawContainer));
  if (method == "update")
    return onContainer(call, container, respond, [&engine, limits = *call.limits, devices = call.devices, name = call.name, security = call.security, sysctls = call.sysctls, rlimits = call.rlimits](const auto& queued) -> Result<Json> {
      if (security) DROVER_TRY(changeSecurity(engine, *queued, *security));
      DROVER_TRY(updateContainer(engine, queued, limits, devices));
      DROVER_TRY(changeKernelSettings(engine, *queued, sysctls, rlimits));
      if (name) DROVER_TRY(renameContainer(engine, queued, *name));
      return engine.describe(*queued);
    });
  if (method == "copyMemory")
    return onContainer(call, container, respond, [&engine, directory = call.directory, most = call.limit](const auto& queued) { return copyMemory(engine, queued, directory, most); });
  if (method == "stageMemory")
    return onContainer(call, container, respond, [&engine, directory = call.directory, part = call.part, bytes = call.limit](const auto& queued) { return stageMemory(engine, queued, directory, part, bytes); });
  if (method == "hashTree")
    return onContainer(call, container, respond, [&engine, question = call.tree, most = call.limit](const auto& queued) mutable {
      question.mostBytes = most;
      return hashTree(engine, queued, question);
    });
  if (method == "checkpoint" || method == "restore") {
    auto work = method == "checkpoint" ? checkpointContainer : restoreContainer;
    return onContainer(call, container, answeredFirst(container, respond), [&engine, work, directory = call.directory](const auto& queued) { return work(engine, queued, directory); });
  }
  if (method == "checkpointImages") return moveCalls_.whenImagesComplete(container->id, respond);
  if (method == "replaceDisk")
    return onContainer(call, container, respond, [&engine, directory = call.directory, uidBase = call.uidBase](const auto& queued) -> Result<Json> {
      DROVER_TRY(replaceDisk(engine, queued, directory, uidBase));
      return engine.describe(*queued);
    });
  if (method == "release") return onContainer(call, container, answeredFirst(container, respond), [&engine](const auto& queued) { return releaseContainer(engine, queued); });
  if (method == "stop") return stop(call, container, respond);
  if (method == "kill") return kill(call, container, respond);
  // request.cc has a rule for it and nobody here takes it.
  respond(Error{"INTERNAL", method + ": the engine checks it but does not do it"});
}

void Methods::makeThen(const Spec& spec, const Respond& respond, std::function<void(std::shared_ptr<Container>)> next) {
  bool queued = engine_.submit([this, respond, spec, next = std::move(next)] {
    auto made = engine_.create(spec);
    if (!made.ok()) return respond(made.error());
    next(made.value());
  });
  if (!queued) respond(Error{"LIMIT_REACHED", "create: too many operations wait"});
}

void Methods::onContainer(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond, Operation operation) {
  queue(container, call.method, respond, [this, epoch = call.epoch, operation = std::move(operation)](const std::shared_ptr<Container>& queued) -> Result<Json> {
    DROVER_TRY(engine_.checkEpoch(*queued, epoch));
    return operation(queued);
  });
}

Methods::Respond Methods::answeredFirst(const std::shared_ptr<Container>& container, const Respond& respond) {
  moveCalls_.begin(container->id);
  return [this, container, respond](Result<Json> result) {
    respond(std::move(result));
    engine_.loop().post([this, container] {
      moveCalls_.answered(container->id);
      engine_.loop().after(newsAfterMs, [this, container] {
        if (moveCalls_.end(container->id)) changed(container);
      });
    });
  };
}

void Methods::queue(const std::shared_ptr<Container>& container, const std::string& method, const Respond& respond, Operation operation) {
  bool queued = engine_.enqueue(container, [container, method, respond, operation = std::move(operation)] {
    {
      std::lock_guard lock(container->mutex);
      if (container->deleted && method != "delete") return respond(Error{"CONTAINER_NOT_FOUND", method + " " + container->id + ": it has been deleted"});
    }
    try {
      respond(operation(container));
    } catch (const std::exception& defect) {
      respond(Error{"INTERNAL", method + " " + container->id + ": " + defect.what()});
    }
  });
  if (!queued) respond(Error{"LIMIT_REACHED", method + " " + container->id + ": too many operations wait for this container"});
}

void Methods::stop(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond) {
  Respond outcome = [this, respond, timeoutMs = call.timeoutMs, id = call.container](Result<Json> asked) {
    if (!asked.ok()) return respond(asked);
    engine_.loop().post([this, respond, timeoutMs, asked, id] {
      auto container = engine_.find(id);
      if (!container) return respond(asked);
      whenEnded(container, timeoutMs, respond, [this, container, respond] {
        queue(container, "stop", [this, container, respond](Result<Json> killed) {
          if (!killed.ok()) return respond(killed);
          engine_.loop().post([this, container, respond] {
            whenEnded(container, afterKillMs, respond, [container, respond] { respond(Error{"TIMED_OUT", "stop " + container->id + ": its init does not end even when killed"}); });
          });
        }, [this](const std::shared_ptr<Container>& late) -> Result<Json> {
          DROVER_TRY(engine_.cgroups().killAll(late->id));
          return Json(nullptr);
        });
      });
    });
  };
  onContainer(call, container, outcome, [this, signal = call.signal](const auto& container) -> Result<Json> {
    DROVER_TRY(askToPowerOff(engine_, container, signal));
    return engine_.describe(*container);
  });
}

void Methods::kill(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond) {
  int number = call.signal;
  Respond outcome = [this, respond, number](Result<Json> sent) {
    if (!sent.ok() || number != SIGKILL) return respond(sent);
    engine_.loop().post([this, respond, sent] {
      auto container = engine_.find(sent.value()["container"].get<std::string>());
      if (!container) return respond(sent);
      whenEnded(container, afterKillMs, respond, [container, respond] { respond(Error{"TIMED_OUT", "kill " + container->id + ": its init does not end"}); });
    });
  };
  onContainer(call, container, outcome, [this, number](const auto& container) -> Result<Json> {
    DROVER_TRY(signalContainer(engine_, container, number));
    return engine_.describe(*container);
  });
}

void Methods::inside(const Call& call, const std::shared_ptr<Container>& container, const Respond& respond) {
  Operation operation = [this](const auto& queued) { return listProcesses(engine_, *queued); };
  if (call.method == "usage")
    operation = [this, fileSystems = call.fileSystems](const auto& queued) { return describeUsage(engine_, *queued, fileSystems); };
  else if (call.method == "preflight")
    operation = [this](const auto& queued) { return preflight(engine_, *queued); };
  else if (call.file)
    operation = [request = *call.file](const auto& queued) { return serveFileRequest(*queued, request); };
  queue(container, call.method, respond, operation);
}

void Methods::whenEnded(const std::shared_ptr<Container>& container, int64_t timeoutMs, const Respond& respond, std::function<void()> late) {
  if (container->snapshot().initPid == 0) return respond(engine_.describe(*container));
  auto& list = waiters_[container->id];
  auto waiter = list.insert(list.end(), Waiter{respond, 0});
  waiter->timer = engine_.loop().after(timeoutMs, [this, id = container->id, waiter, late = std::move(late)] {
    waiters_[id].erase(waiter);
    late();
  });
}

void Methods::changed(const std::shared_ptr<Container>& container) {
  if (auto found = waiters_.find(container->id); found != waiters_.end() && container->snapshot().initPid == 0) {
    auto list = std::move(found->second);
    waiters_.erase(found);
    for (auto& waiter : list) {
      engine_.loop().cancel(waiter.timer);
      waiter.respond(engine_.describe(*container));
    }
  }
  if (moveCalls_.keepsQuiet(container->id) || subscribers_.empty()) return;
  Json event = {{"event", "container"}, {"container", engine_.describe(*container)}};
  auto subscribers = subscribers_;
  for (const auto& subscriber : subscribers) subscriber->sendJson(event);
}

}  // namespace drover
