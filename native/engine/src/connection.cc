// Frames over a unix socket. See connection.h.
#include "connection.h"

#include <endian.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "json_io.h"
#include "log.h"

namespace drover {

namespace {

constexpr size_t headerBytes = 4;
constexpr size_t readPiece = 64 << 10;
/** A client that lets this much pile up does not read: it is cut off. */
constexpr int64_t lingerMs = 5'000;
constexpr size_t mostQueuedBytes = 16 << 20;

}  // namespace

Status Connection::start() {
  return loop_.add(socket_.get(), EPOLLIN, [self = weak_from_this()](uint32_t events) {
    auto connection = self.lock();
    if (!connection) return;
    if (events & EPOLLOUT) connection->flush();
    if (connection->open() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) connection->readable();
  });
}

void Connection::send(FrameType type, std::string_view payload) {
  if (!open() || ending_) return;
  uint32_t length = htole32(static_cast<uint32_t>(payload.size() + 1));
  output_.append(reinterpret_cast<const char*>(&length), headerBytes);
  output_ += static_cast<char>(type);
  output_.append(payload);
  if (queuedBytes() > mostQueuedBytes) {
    logLine("warn", "a client did not read " + std::to_string(queuedBytes()) + " bytes: cut off");
    close();
    return;
  }
  flush();
}

bool Connection::sendJson(const Json& value) {
  std::string text = toText(value);
  if (text.size() + 1 > maxFrameBytes) return false;
  send(FrameType::json, text);
  return true;
}

void Connection::hold(bool held) {
  if (held_ == held || !open()) return;
  held_ = held;
  watchEvents();
  if (!held_) deliver();
}

void Connection::closeWhenSent() {
  if (!open()) return;
  ending_ = true;
  held_ = false;
  if (queuedBytes() == 0) linger();
}

void Connection::close() {
  if (!open()) return;
  loop_.remove(socket_.get());
  socket_.reset();
  if (lingerTimer_) loop_.cancel(lingerTimer_);
  auto closed = std::move(onClosed);
  // Handlers may hold what holds this connection; dropped later, one of them may be running.
  loop_.post([frame = std::move(onFrame), drained = std::move(onDrained)] {});
  onFrame = nullptr;
  onDrained = nullptr;
  onClosed = nullptr;
  if (closed) closed();
}

void Connection::readable() {
  char buffer[readPiece];
  ssize_t count = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close();
  if (ending_) return;  // dropped: only the end is waited for
  input_.append({buffer, static_cast<size_t>(count)});
  deliver();
}

void Connection::deliver() {
  if (delivering_) return;
  delivering_ = true;
  auto self = shared_from_this();
  while (open() && !held_ && !ending_) {
    auto frame = input_.next();
    if (!frame.ok()) {
      refuse(frame.error());
      break;
    }
    if (!frame.value()) break;
    auto handler = onFrame;
    if (handler) handler(frame.value()->type, frame.value()->payload);
  }
  delivering_ = false;
  if (open()) watchEvents();
}

void Connection::flush() {
  if (lingering_) return;
  while (open() && queuedBytes() > 0) {
    ssize_t count = ::send(socket_.get(), output_.data() + outputStart_, queuedBytes(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return watchEvents();
    if (count < 0) return close();
    outputStart_ += static_cast<size_t>(count);
  }
  if (!open()) return;
  output_.clear();
  outputStart_ = 0;
  if (output_.capacity() > maxFrameBytes) output_.shrink_to_fit();
  if (ending_) return linger();
  watchEvents();
  if (auto drained = onDrained) drained();
}

/** Closing with unread input would reset the connection, and the client might lose what was sent last. */
void Connection::linger() {
  if (lingering_) return;
  lingering_ = true;
  shutdown(socket_.get(), SHUT_WR);
  watchEvents();
  lingerTimer_ = loop_.after(lingerMs, [self = weak_from_this()] {
    if (auto connection = self.lock()) {
      connection->lingerTimer_ = 0;
      connection->close();
    }
  });
}

void Connection::watchEvents() {
  // A held connection still notices its end (EPOLLHUP is always reported, a half-closed client is not: it waits).
  loop_.modify(socket_.get(), (held_ ? 0u : static_cast<uint32_t>(EPOLLIN)) | (queuedBytes() > 0 ? static_cast<uint32_t>(EPOLLOUT) : 0u));
}

void Connection::refuse(const Error& error) {
  send(FrameType::error, toText(Json{{"error", {{"code", error.code}, {"message", error.message}, {"retryable", false}, {"context", Json::object()}}}}));
  closeWhenSent();
}

}  // namespace drover
