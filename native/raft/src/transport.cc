#include "transport.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <type_traits>

#include "address.h"

namespace {

/** A peer that is up answers a connect in a round trip; a dead host would keep the kernel retrying for two minutes. */
constexpr uint64_t kConnectDeadlineMs = 1000;
/** A member sends its handshake with the connect. */
constexpr uint64_t kHandshakeDeadlineMs = 3000;
/**
 * Connections in handshake at once; a flood costs no more memory than this. When it is full the oldest goes: a member's
 * handshake comes with its first packet, so members get through a flood of silent connections.
 */
constexpr size_t kMaxIncoming = 64;
/** Unacknowledged data for this long means that the peer's host or link is gone. */
constexpr unsigned kUserTimeoutMs = 5000;
constexpr int kBacklog = 64;

/** Newer libraft (0.22) has `version` in the interface and crashes when it is not set; 0.15 has no such field. */
template <typename T, typename = void>
struct VersionField {
  static void set(T &) {}
};
template <typename T>
struct VersionField<T, std::void_t<decltype(T::version)>> {
  static void set(T &interface) { interface.version = 1; }
};

void tune(uv_tcp_t *tcp) {
  uv_tcp_nodelay(tcp, 1);
  uv_os_fd_t fd;
  if (uv_fileno(reinterpret_cast<uv_handle_t *>(tcp), &fd) == 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
  }
}

void freeSocket(uv_handle_t *handle) { raft_free(handle); }

}  // namespace

// The socket is allocated with raft_malloc because libraft frees it once it owns it.
struct Transport::Incoming {
  Transport *transport;
  uv_tcp_t *tcp;
  uv_timer_t timer;
  HandshakeRecord record;
  size_t received = 0;
};

struct Transport::Outgoing {
  Transport *transport;
  uv_tcp_t *tcp;
  uv_timer_t timer;
  uv_connect_t connect;
  uv_write_t write;
  HandshakeRecord record;
  raft_uv_connect *request;
  int status = 0;
  bool finished = false;
};

Transport::Transport(uv_loop_t *loop, Member self, std::vector<Member> members, Token token)
    : loop_(loop), self_(std::move(self)), members_(std::move(members)), token_(token) {
  VersionField<raft_uv_transport>::set(interface_);
  interface_.impl = this;
  interface_.init = [](raft_uv_transport *, raft_id, const char *) { return 0; };
  interface_.listen = [](raft_uv_transport *t, raft_uv_accept_cb cb) { return static_cast<Transport *>(t->impl)->listen(cb); };
  interface_.connect = [](raft_uv_transport *t, raft_uv_connect *request, raft_id, const char *address, raft_uv_connect_cb cb) {
    return static_cast<Transport *>(t->impl)->connect(request, address, cb);
  };
  interface_.close = [](raft_uv_transport *t, raft_uv_transport_close_cb cb) { static_cast<Transport *>(t->impl)->close(cb); };
  uv_tcp_init(loop_, &listener_);
  listener_.data = this;
  openHandles_ = 1;
}

int Transport::listen(raft_uv_accept_cb accept) {
  accept_ = accept;
  sockaddr_storage address;
  if (!parseAddress(self_.address, &address)) return RAFT_INVALID;
  int rc = uv_tcp_bind(&listener_, reinterpret_cast<sockaddr *>(&address), 0);
  if (rc == 0) {
    rc = uv_listen(reinterpret_cast<uv_stream_t *>(&listener_), kBacklog, [](uv_stream_t *server, int status) {
      static_cast<Transport *>(server->data)->onConnection(status);
    });
  }
  if (rc == 0) return 0;
  std::snprintf(interface_.errmsg, sizeof interface_.errmsg, "listen on %s: %s", self_.address.c_str(), uv_strerror(rc));
  return RAFT_IOERR;
}

void Transport::onConnection(int status) {
  if (status != 0 || closing_) return;
  auto tcp = static_cast<uv_tcp_t *>(raft_malloc(sizeof(uv_tcp_t)));
  if (!tcp) return;
  uv_tcp_init(loop_, tcp);
  if (uv_accept(reinterpret_cast<uv_stream_t *>(&listener_), reinterpret_cast<uv_stream_t *>(tcp)) != 0) {
    uv_close(reinterpret_cast<uv_handle_t *>(tcp), freeSocket);
    return;
  }
  if (incoming_.size() >= kMaxIncoming) drop(incoming_.front());
  tune(tcp);
  auto incoming = new Incoming{};
  incoming->transport = this;
  incoming->tcp = tcp;
  tcp->data = incoming;
  incoming->timer.data = incoming;
  uv_timer_init(loop_, &incoming->timer);
  openHandles_ += 1;
  incoming_.push_back(incoming);
  uv_timer_start(
      &incoming->timer,
      [](uv_timer_t *timer) {
        auto incoming = static_cast<Incoming *>(timer->data);
        incoming->transport->drop(incoming);
      },
      kHandshakeDeadlineMs, 0);
  uv_read_start(
      reinterpret_cast<uv_stream_t *>(tcp),
      // Never more than the record: what follows it is libraft's to read.
      [](uv_handle_t *handle, size_t, uv_buf_t *buffer) {
        auto incoming = static_cast<Incoming *>(handle->data);
        buffer->base = reinterpret_cast<char *>(incoming->record.data() + incoming->received);
        buffer->len = kHandshakeSize - incoming->received;
      },
      [](uv_stream_t *stream, ssize_t count, const uv_buf_t *) {
        auto incoming = static_cast<Incoming *>(stream->data);
        incoming->transport->onHandshake(incoming, count);
      });
}

void Transport::onHandshake(Incoming *incoming, ssize_t count) {
  if (count == 0) return;
  if (count < 0) return drop(incoming);
  incoming->received += static_cast<size_t>(count);
  if (incoming->received < kHandshakeSize) return;
  const Member *member = checkHandshake(incoming->record, token_, members_);
  if (!member || member->id == self_.id) return drop(incoming);
  uv_tcp_t *tcp = incoming->tcp;
  uv_read_stop(reinterpret_cast<uv_stream_t *>(tcp));
  incoming->tcp = nullptr;
  tcp->data = nullptr;
  drop(incoming);
  accept_(&interface_, member->id, member->address.c_str(), reinterpret_cast<uv_stream_t *>(tcp));
}

/** Ends a handshake; closes the socket unless it was handed over. */
void Transport::drop(Incoming *incoming) {
  const auto found = std::find(incoming_.begin(), incoming_.end(), incoming);
  if (found == incoming_.end()) return;
  incoming_.erase(found);
  if (incoming->tcp) uv_close(reinterpret_cast<uv_handle_t *>(incoming->tcp), freeSocket);
  uv_close(reinterpret_cast<uv_handle_t *>(&incoming->timer), [](uv_handle_t *handle) {
    auto incoming = static_cast<Incoming *>(handle->data);
    Transport *transport = incoming->transport;
    delete incoming;
    transport->handleClosed();
  });
}

int Transport::connect(raft_uv_connect *request, const char *address, raft_uv_connect_cb callback) {
  sockaddr_storage target;
  if (!parseAddress(address, &target)) return RAFT_INVALID;
  auto tcp = static_cast<uv_tcp_t *>(raft_malloc(sizeof(uv_tcp_t)));
  if (!tcp) return RAFT_NOMEM;
  request->cb = callback;
  auto outgoing = new Outgoing{};
  outgoing->transport = this;
  outgoing->tcp = tcp;
  outgoing->request = request;
  outgoing->record = encodeHandshake(self_, token_);
  uv_tcp_init(loop_, tcp);
  tcp->data = outgoing;
  uv_timer_init(loop_, &outgoing->timer);
  outgoing->timer.data = outgoing;
  outgoing->connect.data = outgoing;
  outgoing->write.data = outgoing;
  openHandles_ += 1;
  outgoing_.insert(outgoing);
  uv_timer_start(
      &outgoing->timer,
      [](uv_timer_t *timer) {
        auto outgoing = static_cast<Outgoing *>(timer->data);
        outgoing->transport->finish(outgoing, RAFT_NOCONNECTION);
      },
      kConnectDeadlineMs, 0);
  const int rc = uv_tcp_connect(&outgoing->connect, tcp, reinterpret_cast<sockaddr *>(&target), [](uv_connect_t *connect, int status) {
    auto outgoing = static_cast<Outgoing *>(connect->data);
    if (outgoing->finished) return;
    if (status != 0) return outgoing->transport->finish(outgoing, RAFT_NOCONNECTION);
    tune(outgoing->tcp);
    uv_buf_t buffer = uv_buf_init(reinterpret_cast<char *>(outgoing->record.data()), kHandshakeSize);
    const int rc = uv_write(&outgoing->write, reinterpret_cast<uv_stream_t *>(outgoing->tcp), &buffer, 1, [](uv_write_t *write, int status) {
      auto outgoing = static_cast<Outgoing *>(write->data);
      if (!outgoing->finished) outgoing->transport->finish(outgoing, status == 0 ? 0 : RAFT_NOCONNECTION);
    });
    if (rc != 0) outgoing->transport->finish(outgoing, RAFT_NOCONNECTION);
  });
  // Told through the callback like every other failure, so that there is one way to end.
  if (rc != 0) finish(outgoing, RAFT_NOCONNECTION);
  return 0;
}

/** Ends a connect: hands the socket over (status 0), or closes it and says so once no request on it is under way any more. */
void Transport::finish(Outgoing *outgoing, int status) {
  if (outgoing->finished) return;
  outgoing->finished = true;
  outgoing->status = status;
  outgoing_.erase(outgoing);
  if (status == 0) {
    raft_uv_connect *request = outgoing->request;
    uv_tcp_t *tcp = outgoing->tcp;
    tcp->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&outgoing->timer), [](uv_handle_t *handle) {
      auto outgoing = static_cast<Outgoing *>(handle->data);
      Transport *transport = outgoing->transport;
      delete outgoing;
      transport->handleClosed();
    });
    request->cb(request, reinterpret_cast<uv_stream_t *>(tcp), 0);
    return;
  }
  // The socket first, then the timer: libuv cancels the requests on the socket, which live in Outgoing.
  uv_close(reinterpret_cast<uv_handle_t *>(outgoing->tcp), [](uv_handle_t *handle) {
    auto outgoing = static_cast<Outgoing *>(handle->data);
    raft_free(handle);
    uv_close(reinterpret_cast<uv_handle_t *>(&outgoing->timer), [](uv_handle_t *timer) {
      auto outgoing = static_cast<Outgoing *>(timer->data);
      Transport *transport = outgoing->transport;
      raft_uv_connect *request = outgoing->request;
      const int status = transport->closing_ ? RAFT_CANCELED : outgoing->status;
      delete outgoing;
      request->cb(request, nullptr, status);
      transport->handleClosed();
    });
  });
}

void Transport::close(raft_uv_transport_close_cb done) {
  closing_ = true;
  closed_ = done;
  while (!incoming_.empty()) drop(incoming_.front());
  while (!outgoing_.empty()) finish(*outgoing_.begin(), RAFT_CANCELED);
  uv_close(reinterpret_cast<uv_handle_t *>(&listener_),
           [](uv_handle_t *handle) { static_cast<Transport *>(handle->data)->handleClosed(); });
}

void Transport::handleClosed() {
  openHandles_ -= 1;
  if (closing_ && openHandles_ == 0 && closed_) closed_(&interface_);
}
