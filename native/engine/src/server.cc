// The engine's listening socket. See server.h.
#include "server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "json_io.h"
#include "log.h"

namespace drover {

namespace {
constexpr size_t mostConnections = 1024;
constexpr int backlog = 256;
constexpr int64_t restMs = 100;
}  // namespace

Server::~Server() {
  if (!socket_.valid()) return;
  if (resting_) loop_.cancel(*resting_);
  loop_.remove(socket_.get());
  unlink(path_.c_str());
}

Status Server::listen(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return badRequest("socket path " + path + ": over " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  memcpy(address.sun_path, path.c_str(), path.size());
  socket_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid()) return errnoError("make socket " + path);
  unlink(path.c_str());
  mode_t before = umask(0177);
  int bound = bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0) return errnoError("bind " + path);
  if (::listen(socket_.get(), backlog) != 0) return errnoError("listen on " + path);
  path_ = path;
  return loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) { acceptOne(); });
}

void Server::acceptOne() {
  UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.valid()) return rest(errno);
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (getsockopt(accepted.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != 0) {
    logLine("warn", "refused a connection of uid " + std::to_string(peer.uid));
    return;
  }
  auto connection = std::make_shared<Connection>(loop_, std::move(accepted));
  if (connections_.size() >= mostConnections) {
    connection->send(FrameType::error, toText(Json{{"error",
                                                    {{"code", "LIMIT_REACHED"},
                                                     {"message", "connect to the engine: it has " + std::to_string(mostConnections) + " connections, the limit"},
                                                     {"retryable", true},
                                                     {"context", Json::object()}}}}));
    return;
  }
  if (!connection->start().ok()) return;
  connections_.insert(connection);
  onConnection_(connection);
  auto handled = std::move(connection->onClosed);
  connection->onClosed = [this, weak = std::weak_ptr(connection), handled = std::move(handled)] {
    if (handled) handled();
    if (auto closed = weak.lock()) connections_.erase(closed);
  };
}

void Server::rest(int error) {
  if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) return;
  logLine("warn", errnoError("accept a connection", error).message);
  loop_.remove(socket_.get());
  resting_ = loop_.after(restMs, [this] {
    resting_.reset();
    Status added = loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) { acceptOne(); });
    if (!added.ok()) rest(ENOMEM);
  });
}

}  // namespace drover
