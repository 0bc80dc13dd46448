// Requests to answers. See methods.h. What takes time runs on the container's queue; waiting is done by the loop.
#include "methods.h"

#include <signal.h>
#include <sys/utsname.h>

#include "checkpoint.h"
#include "console.h"
#include "file_io.h"
#include "inside_files.h"
#include "json_io.h"
#include "lifecycle.h"
#include "log.h"
#include "pidfd.h"
#include "processes.h"
#include "start.h"

namespace drover {

namespace {

constexpr int protocolVersion = 1;
constexpr const char* engineVersion = "0.1.0";
constexpr int mostRequestsPerConnection = 256;
constexpr int deepestRequest = 16;
constexpr int64_t longestWaitMs = 24LL * 3600 * 1000;
/** SIGKILL has been sent: what is left is the kernel's work. */
constexpr int64_t afterKillMs = 20'000;
constexpr int64_t mostLogBytes = 512 << 10;

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

Result<Json> hello(const Engine& engine, const Json& params) {
  DROVER_TRY_ASSIGN(version, integerField(params, "protocolVersion", 0, INT32_MAX));
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
  };
}

Result<std::string> directoryParameter(const Json& params) {
  DROVER_TRY_ASSIGN(directory, stringField(params, "directory"));
  if (directory.empty() || directory.front() != '/') return badRequest("field `directory`: `" + directory + "` is not an absolute path");
  return directory;
}

}  // namespace

Methods::Methods(Engine& engine) : engine_(engine), execs_(engine) {
  engine_.onChange = [this](const std::shared_ptr<Container>& container) { changed(container); };
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
  if (type != FrameType::json) return refuse(badRequest("a frame of type " + std::to_string(static_cast<int>(type)) + " came where a request was expected"));
  // What is nested deeper than any request is not even built.
  Json request = Json::parse(payload, [](int depth, Json::parse_event_t, Json&) { return depth <= deepestRequest; }, false);
  if (request.is_discarded()) return refuse(badRequest("the request is not JSON"));
  if (!request.is_object()) return refuse(badRequest("the request is not a JSON object"));
  if (auto found = request.find("id"); found != request.end() && (found->is_number() || found->is_string())) id = *found;
  else return refuse(badRequest("field `id`: must be a number or a string"));
  auto method = stringField(request, "method", 64);
  if (!method.ok()) return refuse(method.error());
  auto params = objectField(request, "params");
  if (!params.ok()) return refuse(params.error());
  if (connection->requests >= mostRequestsPerConnection)
    return refuse({"LIMIT_REACHED", "this connection has " + std::to_string(mostRequestsPerConnection) + " requests under way, the limit"});

  if (method.value() == "exec") return execs_.begin(connection, id, params.value());
  if (method.value() == "subscribe") {
    connection->sendJson({{"id", id}, {"result", nullptr}});
    if (connection->open()) subscribers_.insert(connection);
    return;
  }
  ++connection->requests;
  std::weak_ptr weak = connection;
  Respond respond = [this, weak, id](Result<Json> result) {
    engine_.loop().post([weak, id, result = std::move(result)] {
      auto open = weak.lock();
      if (!open) return;
      --open->requests;
      if (!result.ok()) open->sendJson({{"id", id}, {"error", errorJson(result.error())}});
      else if (!open->sendJson({{"id", id}, {"result", result.value()}}))
        open->sendJson({{"id", id}, {"error", errorJson({"TOO_LARGE", "the answer is over " + std::to_string(maxFrameBytes) + " bytes, the limit of a frame"})}});
    });
  };
  dispatch(method.value(), params.value(), respond);
}

void Methods::dispatch(const std::string& method, const Json& params, const Respond& respond) {
  Engine& engine = engine_;
  if (method == "hello") return respond(hello(engine, params));
  if (method == "list") {
    bool queued = engine.submit([&engine, respond] {
      Json containers = Json::array();
      for (const auto& container : engine.all()) containers.push_back(engine.describe(*container));
      respond(Json{{"containers", std::move(containers)}});
    });
    if (!queued) respond(Error{"LIMIT_REACHED", "list: too many operations wait"});
    return;
  }
  if (method == "create")
    return makeThen(params, respond, [&engine, respond](std::shared_ptr<Container> container) { respond(engine.describe(*container)); });
  if (method == "prepareRestore") {
    std::optional<int64_t> startedAtMs;
    auto starts = integerField(params, "starts", 0, INT64_MAX);
    if (!starts.ok()) return respond(starts.error());
    if (present(params, "startedAtMs")) {
      auto started = integerField(params, "startedAtMs", 0, INT64_MAX);
      if (!started.ok()) return respond(started.error());
      startedAtMs = started.value();
    }
    return makeThen(params, respond, [this, respond, startedAtMs, starts = starts.value()](std::shared_ptr<Container> container) {
      queue(container, "prepareRestore", respond, [this, startedAtMs, starts](const auto& queued) { return prepareRestore(engine_, queued, startedAtMs, starts); });
    });
  }
  if (method == "delete") {
    // Unknown: deleted already.
    auto id = stringField(params, "container");
    if (id.ok() && isContainerId(id.value()) && !engine.find(id.value())) return respond(Json(nullptr));
    return onContainer(method, params, respond, [&engine](const auto& container) -> Result<Json> {
      DROVER_TRY(engine.removeContainer(container));
      return Json(nullptr);
    });
  }
  if (method == "get") {
    auto id = stringField(params, "container");
    if (!id.ok()) return respond(id.error());
    auto container = engine.find(id.value());
    if (!container) return respond(Error{"CONTAINER_NOT_FOUND", "get " + id.value() + ": this host has no such container"});
    return respond(engine.describe(*container));
  }
  auto described = [&engine](Status (*operation)(Engine&, const std::shared_ptr<Container>&)) {
    return [&engine, operation](const std::shared_ptr<Container>& container) -> Result<Json> {
      DROVER_TRY(operation(engine, container));
      return engine.describe(*container);
    };
  };
  if (method == "start") return onContainer(method, params, respond, described(startContainer));
  if (method == "freeze") return onContainer(method, params, respond, described(freezeContainer));
  if (method == "thaw") return onContainer(method, params, respond, described(thawContainer));
  if (method == "update") {
    auto limitsJson = objectField(params, "limits");
    if (!limitsJson.ok()) return respond(limitsJson.error());
    auto limits = parseLimits(limitsJson.value());
    if (!limits.ok()) return respond(limits.error());
    return onContainer(method, params, respond, [&engine, limits = limits.value()](const auto& container) -> Result<Json> {
      DROVER_TRY(updateContainer(engine, container, limits));
      return engine.describe(*container);
    });
  }
  if (method == "checkpoint" || method == "restore") {
    auto directory = directoryParameter(params);
    if (!directory.ok()) return respond(directory.error());
    auto work = method == "checkpoint" ? checkpointContainer : restoreContainer;
    return onContainer(method, params, respond, [&engine, work, directory = directory.value()](const auto& container) { return work(engine, container, directory); });
  }
  if (method == "release") return onContainer(method, params, respond, [&engine](const auto& container) { return releaseContainer(engine, container); });
  if (method == "stop") return stop(params, respond);
  if (method == "kill") return kill(params, respond);
  if (method == "wait") return wait(params, respond);
  if (method == "logs") return logs(params, respond);
  if (isFileMethod(method) || method == "processes" || method == "usage") return inside(method, params, respond);
  respond(badRequest("field `method`: `" + method + "` is none that this engine knows"));
}

void Methods::makeThen(const Json& params, const Respond& respond, std::function<void(std::shared_ptr<Container>)> next) {
  auto specJson = objectField(params, "spec");
  if (!specJson.ok()) return respond(specJson.error());
  auto spec = parseSpec(specJson.value());
  if (!spec.ok()) return respond(spec.error());
  bool queued = engine_.submit([this, respond, spec = std::move(spec.value()), next = std::move(next)] {
    auto made = engine_.create(spec);
    if (!made.ok()) return respond(made.error());
    next(made.value());
  });
  if (!queued) respond(Error{"LIMIT_REACHED", "create: too many operations wait"});
}

void Methods::onContainer(const std::string& method, const Json& params, const Respond& respond, Operation operation) {
  auto id = stringField(params, "container");
  if (!id.ok()) return respond(id.error());
  auto epoch = integerField(params, "epoch", 0, INT64_MAX / 2);
  if (!epoch.ok()) return respond(epoch.error());
  auto container = engine_.find(id.value());
  if (!container) return respond(Error{"CONTAINER_NOT_FOUND", method + " " + id.value().substr(0, 64) + ": this host has no such container"});
  queue(container, method, respond, [this, epoch = epoch.value(), operation = std::move(operation)](const std::shared_ptr<Container>& queued) -> Result<Json> {
    DROVER_TRY(engine_.checkEpoch(*queued, epoch));
    return operation(queued);
  });
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

void Methods::stop(const Json& params, const Respond& respond) {
  auto timeout = integerField(params, "timeoutMs", 0, longestWaitMs);
  if (!timeout.ok()) return respond(timeout.error());
  Respond outcome = [this, respond, timeoutMs = timeout.value(), id = params.value("container", Json())](Result<Json> asked) {
    if (!asked.ok()) return respond(asked);
    engine_.loop().post([this, respond, timeoutMs, asked, id] {
      auto container = engine_.find(id.get<std::string>());
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
  onContainer("stop", params, outcome, [this](const auto& container) -> Result<Json> {
    DROVER_TRY(askToPowerOff(engine_, container));
    return engine_.describe(*container);
  });
}

void Methods::kill(const Json& params, const Respond& respond) {
  auto signal = integerField(params, "signal", 1, 64);
  if (!signal.ok()) return respond(signal.error());
  int number = static_cast<int>(signal.value());
  Respond outcome = [this, respond, number](Result<Json> sent) {
    if (!sent.ok() || number != SIGKILL) return respond(sent);
    engine_.loop().post([this, respond, sent] {
      auto container = engine_.find(sent.value()["container"].get<std::string>());
      if (!container) return respond(sent);
      whenEnded(container, afterKillMs, respond, [container, respond] { respond(Error{"TIMED_OUT", "kill " + container->id + ": its init does not end"}); });
    });
  };
  onContainer("kill", params, outcome, [this, number](const auto& container) -> Result<Json> {
    DROVER_TRY(signalContainer(engine_, container, number));
    return engine_.describe(*container);
  });
}

void Methods::wait(const Json& params, const Respond& respond) {
  auto id = stringField(params, "container");
  if (!id.ok()) return respond(id.error());
  auto timeout = integerField(params, "timeoutMs", 0, longestWaitMs);
  if (!timeout.ok()) return respond(timeout.error());
  auto container = engine_.find(id.value());
  if (!container) return respond(Error{"CONTAINER_NOT_FOUND", "wait " + id.value().substr(0, 64) + ": this host has no such container"});
  whenEnded(container, timeout.value(), respond, [this, container, respond] { respond(engine_.describe(*container)); });
}

void Methods::logs(const Json& params, const Respond& respond) {
  auto id = stringField(params, "container");
  auto offset = integerField(params, "offset", INT64_MIN / 2, INT64_MAX / 2);
  auto limit = integerField(params, "limit", 1, mostLogBytes);
  if (!id.ok()) return respond(id.error());
  if (!offset.ok()) return respond(offset.error());
  if (!limit.ok()) return respond(limit.error());
  auto container = engine_.find(id.value());
  if (!container) return respond(Error{"CONTAINER_NOT_FOUND", "logs " + id.value().substr(0, 64) + ": this host has no such container"});
  bool queued = engine_.submit([container, respond, offset = offset.value(), limit = limit.value()] { respond(readConsole(*container, offset, limit)); });
  if (!queued) respond(Error{"LIMIT_REACHED", "logs: too many operations wait"});
}

void Methods::inside(const std::string& method, const Json& params, const Respond& respond) {
  auto id = stringField(params, "container");
  if (!id.ok()) return respond(id.error());
  Operation operation = [this](const auto& container) { return listProcesses(engine_, *container); };
  if (method == "usage") {
    auto found = params.find("fileSystems");
    if (found == params.end() || !found->is_boolean()) return respond(badRequest("field `fileSystems`: must be true or false"));
    operation = [this, fileSystems = found->get<bool>()](const auto& container) { return describeUsage(engine_, *container, fileSystems); };
  } else if (isFileMethod(method)) {
    auto request = parseFileRequest(method, params);
    if (!request.ok()) return respond(request.error());
    operation = [request = std::move(request.value())](const auto& container) { return serveFileRequest(*container, request); };
  }
  auto container = engine_.find(id.value());
  if (!container) return respond(Error{"CONTAINER_NOT_FOUND", method + " " + id.value().substr(0, 64) + ": this host has no such container"});
  queue(container, method, respond, operation);
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
  if (subscribers_.empty()) return;
  Json event = {{"event", "container"}, {"container", engine_.describe(*container)}};
  auto subscribers = subscribers_;
  for (const auto& subscriber : subscribers) subscriber->sendJson(event);
}

}  // namespace drover
