// Listens on the engine's socket: root only, a bounded number of connections.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "connection.h"
#include "event_loop.h"

namespace drover {

class Server {
 public:
  Server(EventLoop& loop, std::function<void(const std::shared_ptr<Connection>&)> onConnection) : loop_(loop), onConnection_(std::move(onConnection)) {}
  ~Server();
  /** Replaces a socket that a dead engine left. */
  Status listen(const std::string& path);

 private:
  void acceptOne();
  /** Without descriptors or memory a connection stays in the queue: the loop would come back to it at once, for nothing. */
  void rest(int error);

  EventLoop& loop_;
  std::function<void(const std::shared_ptr<Connection>&)> onConnection_;
  UniqueFd socket_;
  std::optional<uint64_t> resting_;
  std::string path_;
  std::set<std::shared_ptr<Connection>> connections_;
};

}  // namespace drover
