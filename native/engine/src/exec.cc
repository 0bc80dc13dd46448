// Exec sessions: bytes between a client's connection and a command's pipes or terminal, with back pressure both ways, and the
// exit code at the end. See exec.h.
#include "exec.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json_io.h"
#include "log.h"
#include "pidfd.h"

namespace drover {

namespace {

constexpr size_t readPiece = 32 << 10;
/** With this much unread by the client the command's output waits; with this much unread by the command, the client's input. */
constexpr size_t highWater = 1 << 20;
/** After the command has ended, what lies in its pipes or terminal is still handed on, but no more than they can hold. */
constexpr size_t mostAfterExit = 4 << 20;

void setNonBlocking(const UniqueFd& fd) {
  if (fd.valid()) fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

Json errorBody(const Error& error) {
  return {{"error", {{"code", error.code}, {"message", error.message}, {"retryable", false}, {"context", Json::object()}}}};
}

}  // namespace

class ExecSession : public std::enable_shared_from_this<ExecSession> {
 public:
  ExecSession(EventLoop& loop, std::string container, std::shared_ptr<Connection> connection, StartedExec started, std::function<void()> onReaped)
      : container(std::move(container)), loop_(loop), connection_(std::move(connection)), started_(std::move(started)), onReaped_(std::move(onReaped)) {}

  const std::string container;

  void begin() {
    auto self = shared_from_this();
    for (auto* fd : {&started_.terminal, &started_.input, &started_.output, &started_.errors}) setNonBlocking(*fd);
    connection_->onFrame = [self](FrameType type, std::string_view payload) { self->received(type, payload); };
    connection_->onClosed = chain(connection_->onClosed, [self] { self->hangUp(); });
    connection_->onDrained = [self] { self->setReading(true); };
    setReading(true);
    if (Status watched = loop_.add(started_.pidfd.get(), EPOLLIN, [self](uint32_t) { self->ended(); }); !watched.ok()) logLine("error", watched.error().message);
  }

  /** The client left before the command had started. */
  void abandon() { hangUp(); }

  /** The container is about to be dumped: nothing of the session may be left. */
  void killForMove() {
    if (reaped_) return;
    moved_ = true;
    kill(-started_.pid, SIGKILL);
    Status ignored = signalPidfd(started_.pidfd.get(), SIGKILL);
  }

 private:
  static std::function<void()> chain(std::function<void()> first, std::function<void()> second) {
    return [first = std::move(first), second = std::move(second)] {
      second();
      if (first) first();
    };
  }

  UniqueFd& inputFd() { return started_.terminal.valid() ? started_.terminal : started_.input; }

  void received(FrameType type, std::string_view payload) {
    switch (type) {
      case FrameType::standardInput:
        if (!inputFd().valid() || inputEnded_) return;
        pendingInput_.append(payload);
        return writeInput();
      case FrameType::inputEnd:
        inputEnded_ = true;
        // A terminal knows no end of file: its line discipline makes one of Ctrl-D.
        if (started_.terminal.valid()) pendingInput_ += '\x04';
        return writeInput();
      case FrameType::resize:
        return resize(payload);
      case FrameType::signal:
        return signal(payload);
      default:
        connection_->send(FrameType::error, toText(errorBody(badRequest("exec session: a frame of type " + std::to_string(static_cast<int>(type)) + " has no meaning here"))));
        connection_->closeWhenSent();
    }
  }

  void resize(std::string_view payload) {
    auto asked = parseTerminalSize(payload);
    if (!asked.ok() || !started_.terminal.valid()) return;
    winsize size = {};
    size.ws_col = asked.value().columns;
    size.ws_row = asked.value().rows;
    ioctl(started_.terminal.get(), TIOCSWINSZ, &size);
  }

  /** To the command's process group, so that what it has started hears it too. */
  void signal(std::string_view payload) {
    auto number = parseSignal(payload);
    if (number.ok() && !reaped_) kill(-started_.pid, number.value());
  }

  void writeInput() {
    UniqueFd& fd = inputFd();
    while (fd.valid() && !pendingInput_.empty()) {
      ssize_t count = write(fd.get(), pendingInput_.data(), pendingInput_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) break;
      if (count < 0) {
        // It reads no more: what else comes is dropped, as a shell does.
        pendingInput_.clear();
        inputEnded_ = true;
        break;
      }
      pendingInput_.erase(0, static_cast<size_t>(count));
    }
    if (pendingInput_.empty() && inputEnded_ && !started_.terminal.valid()) {
      watchInput(false);
      started_.input.reset();
    } else {
      watchInput(!pendingInput_.empty());
    }
    connection_->hold(pendingInput_.size() > highWater);
  }

  /** On a duplicate: a terminal's one descriptor is watched for reading already. */
  void watchInput(bool wanted) {
    if (wanted == inputWatch_.valid()) return;
    if (!wanted) {
      loop_.remove(inputWatch_.get());
      inputWatch_.reset();
      return;
    }
    inputWatch_.reset(fcntl(inputFd().get(), F_DUPFD_CLOEXEC, 0));
    auto self = shared_from_this();
    Status ignored = loop_.add(inputWatch_.get(), EPOLLOUT, [self](uint32_t) { self->writeInput(); });
  }

  void setReading(bool wanted) {
    if (reading_ == wanted) return;
    reading_ = wanted;
    auto self = shared_from_this();
    for (auto [fd, type] : outputs()) {
      if (!fd->valid()) continue;
      if (!wanted) loop_.remove(fd->get());
      else if (Status watched = loop_.add(fd->get(), EPOLLIN, [self, fd = fd, type = type](uint32_t) { self->readOutput(*fd, type); }); !watched.ok()) logLine("error", watched.error().message);
    }
  }

  std::vector<std::pair<UniqueFd*, FrameType>> outputs() {
    return {{&started_.terminal, FrameType::standardOutput}, {&started_.output, FrameType::standardOutput}, {&started_.errors, FrameType::standardError}};
  }

  /** False when nothing more is there now. */
  bool readOutput(UniqueFd& fd, FrameType type) {
    char buffer[readPiece];
    ssize_t count = read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) {
      // A pipe's end of file, or EIO: nobody holds the terminal any more.
      if (reading_) loop_.remove(fd.get());
      if (&fd != &started_.terminal) fd.reset();
      else terminalEnded_ = true;
      return false;
    }
    connection_->send(type, {buffer, static_cast<size_t>(count)});
    if (connection_->open() && connection_->queuedBytes() > highWater) setReading(false);
    return true;
  }

  void ended() {
    auto self = shared_from_this();
    loop_.remove(started_.pidfd.get());
    auto status = endedStatus(started_.pidfd.get());
    reaped_ = true;
    int code = !status ? 255 : WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
    if (connection_->open()) {
      size_t handed = connection_->queuedBytes();
      for (auto [fd, type] : outputs())
        while (fd->valid() && !(fd == &started_.terminal && terminalEnded_) && connection_->queuedBytes() < handed + mostAfterExit && readOutput(*fd, type)) {
        }
      if (!started_.failure.empty()) {
        connection_->send(started_.terminal.valid() ? FrameType::standardOutput : FrameType::standardError, "drover: " + started_.failure + (started_.terminal.valid() ? "\r\n" : "\n"));
        code = started_.failureCode;
      }
      if (moved_)
        connection_->send(FrameType::error, toText(errorBody({"CANCELLED", "exec in " + container + ": the session was ended because the container moves to another host or its memory is saved"})));
      else
        connection_->send(FrameType::exit, toText(Json{{"exitCode", code}}));
    }
    closeAll();
    connection_->onDrained = nullptr;
    connection_->closeWhenSent();
    auto reaped = std::move(onReaped_);
    if (reaped) reaped();
  }

  /** The client has gone: the terminal's hang-up or a signal tells the command; it is reaped when it ends. */
  void hangUp() {
    // Its pid may be somebody else's by now.
    if (reaped_) return;
    closeAll();
    kill(-started_.pid, SIGHUP);
  }

  void closeAll() {
    setReading(false);
    watchInput(false);
    for (auto* fd : {&started_.terminal, &started_.input, &started_.output, &started_.errors}) fd->reset();
  }

  EventLoop& loop_;
  std::shared_ptr<Connection> connection_;
  StartedExec started_;
  std::function<void()> onReaped_;
  std::string pendingInput_;
  UniqueFd inputWatch_;
  bool inputEnded_ = false;
  bool reading_ = false;
  bool terminalEnded_ = false;
  bool moved_ = false;
  bool reaped_ = false;
};

void ExecSessions::begin(const std::shared_ptr<Connection>& connection, const Json& id, const ExecRequest& request) {
  auto answer = [connection, id](const Error& error) {
    Json body = errorBody(error)["error"];
    connection->sendJson({{"id", id}, {"error", body}});
    connection->hold(false);
  };
  auto container = engine_.find(request.container);
  if (!container) return answer({"CONTAINER_NOT_FOUND", "exec in " + request.container + ": this host has no such container"});
  // What the client sends meanwhile belongs to the command: it waits in the connection.
  connection->hold(true);
  bool queued = engine_.enqueue(container, [this, container, connection, id, answer, request] {
    auto started = std::make_shared<Result<StartedExec>>(startExec(engine_, *container, request));
    engine_.loop().post([this, container, connection, id, answer, started] {
      if (!started->ok()) return answer(started->error());
      pid_t pid = started->value().pid;
      auto session = std::make_shared<ExecSession>(engine_.loop(), container->id, connection, std::move(started->value()), [this, pid] {
        sessions_.erase(pid);
        finishEnds();
      });
      sessions_[pid] = session;
      bool gone = !connection->open();
      connection->sendJson({{"id", id}, {"result", {{"pid", pid}}}});
      session->begin();
      if (gone) session->abandon();
      connection->hold(false);
    });
  });
  if (!queued) answer({"LIMIT_REACHED", "exec in " + container->id + ": too many operations wait for this container"});
}

void ExecSessions::end(const std::string& container, std::function<void()> done) {
  for (const auto& [pid, session] : sessions_)
    if (session->container == container) session->killForMove();
  ends_.emplace_back(container, std::move(done));
  finishEnds();
}

void ExecSessions::finishEnds() {
  std::erase_if(ends_, [this](auto& end) {
    for (const auto& [pid, session] : sessions_)
      if (session->container == end.first) return false;
    end.second();
    return true;
  });
}

}  // namespace drover
