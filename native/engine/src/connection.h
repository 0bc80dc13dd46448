// One client's connection: frames in, frames out (packages/protocol/src/frames.ts), both bounded. Loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "event_loop.h"
#include "frame_decoder.h"
#include "unique_fd.h"

namespace drover {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(EventLoop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}
  ~Connection() { close(); }
  Status start();

  void send(FrameType type, std::string_view payload);
  /** Too long for a frame: false, nothing was sent. */
  bool sendJson(const nlohmann::json& value);
  /** Bytes that the client has not taken yet. */
  size_t queuedBytes() const { return output_.size() - outputStart_; }
  /** Stops (or goes on) handing out frames and reading. */
  void hold(bool held);
  void closeWhenSent();
  void close();
  bool open() const { return socket_.valid(); }

  /** Requests under way. */
  int requests = 0;

  std::function<void(FrameType, std::string_view)> onFrame;
  /** Once; then the handlers are dropped. */
  std::function<void()> onClosed;
  /** Whenever the queue has become empty. */
  std::function<void()> onDrained;

 private:
  void readable();
  void deliver();
  void flush();
  void watchEvents();
  void linger();
  void refuse(const Error& error);

  EventLoop& loop_;
  UniqueFd socket_;
  FrameDecoder input_;
  std::string output_;
  size_t outputStart_ = 0;
  bool held_ = false;
  bool ending_ = false;
  /** Everything is sent and said to be the end; waits for the client to close. */
  bool lingering_ = false;
  uint64_t lingerTimer_ = 0;
  bool delivering_ = false;
};

}  // namespace drover
