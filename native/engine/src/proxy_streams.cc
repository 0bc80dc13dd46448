// A proxy of connections: for each that comes in one to the container, and bytes both ways. Nothing is held here: bytes are looked at,
// written, and only what could be written is taken (MSG_PEEK), so that a slow reader costs no memory and slows its writer down.
// See proxy_listener.h; tcp(7) for MSG_TRUNC.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <map>

#include "log.h"
#include "proxy_listener.h"

namespace drover {

namespace {

/** Further ones wait in the kernel until one ends. Two descriptors each, of which a process has some thousands at least. */
constexpr size_t mostConnections = 512;
constexpr int backlog = 512;
constexpr int64_t connectDeadlineMs = 10'000;
/** After descriptors have run out. */
constexpr int64_t acceptAgainMs = 1'000;
/** One connection must not keep the others waiting for long. */
constexpr int chunksPerTurn = 8;
constexpr size_t chunkBytes = 64 << 10;
/** A peer that has vanished is found after five minutes. */
constexpr int keepIdleS = 120, keepIntervalS = 30, keepProbes = 6;

struct End {
  UniqueFd fd;
  /** What epoll watches for; 0: it doesn't know the descriptor. */
  uint32_t watched = 0;
  /** It has nothing more to say, and the other end knows. */
  bool ended = false;
  /** It takes nothing for now. */
  bool full = false;
};

/** Whoever waits for bytes that were lost on the way must not take it for their end. */
void cut(UniqueFd& fd) {
  linger now = {1, 0};
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

void tune(int fd) {
  const int yes = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepIdleS, sizeof keepIdleS);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepIntervalS, sizeof keepIntervalS);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &keepProbes, sizeof keepProbes);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

class Link {
 public:
  /** `over` is called once, as the last thing that is done here: it may end the link. */
  Link(EventLoop& loop, UniqueFd client, UniqueFd inside, std::function<void()> over) : loop_(loop), over_(std::move(over)) {
    ends_[0].fd = std::move(client);
    ends_[1].fd = std::move(inside);
    for (auto& end : ends_) tune(end.fd.get());
  }
  ~Link() {
    loop_.cancel(deadline_);
    for (auto& end : ends_) {
      if (end.watched) loop_.remove(end.fd.get());
      if (end.fd.valid()) cut(end.fd);
    }
  }

  void begin() {
    deadline_ = loop_.after(connectDeadlineMs, [this] { over_(); });
    watch(1, EPOLLOUT);
  }

 private:
  void happened(size_t which, uint32_t events) {
    if (!connected_) {
      int number = 0;
      socklen_t size = sizeof number;
      if (getsockopt(ends_[1].fd.get(), SOL_SOCKET, SO_ERROR, &number, &size) != 0 || number != 0) return over_();
      connected_ = true;
      loop_.cancel(deadline_);
    }
    if (events & EPOLLERR) return over_();
    if (events & EPOLLOUT) ends_[which].full = false;
    if (!carry(0, 1) || !carry(1, 0)) return over_();
    if (ends_[0].ended && ends_[1].ended) {
      close();
      return over_();
    }
    for (size_t each : {0, 1}) {
      const End& end = ends_[each];
      const bool reads = !end.ended && !ends_[1 - each].full;
      watch(each, (reads ? uint32_t{EPOLLIN} : 0) | (end.full ? uint32_t{EPOLLOUT} : 0));
    }
  }

  /** False: the link is broken. */
  bool carry(size_t source, size_t target) {
    static thread_local std::array<char, chunkBytes> chunk;
    End &from = ends_[source], &to = ends_[target];
    for (int turn = 0; turn < chunksPerTurn && !from.ended && !to.full; ++turn) {
      ssize_t count = recv(from.fd.get(), chunk.data(), chunk.size(), MSG_PEEK);
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      if (count == 0) {
        from.ended = true;
        return shutdown(to.fd.get(), SHUT_WR) == 0;
      }
      ssize_t sent = send(to.fd.get(), chunk.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
      to.full = sent < count;
      if (sent > 0 && recv(from.fd.get(), chunk.data(), static_cast<size_t>(sent), MSG_TRUNC) != sent) return false;
    }
    return true;
  }

  /** Not in epoll when there is nothing to wait for: it would tell of an end again and again. */
  void watch(size_t which, uint32_t events) {
    End& end = ends_[which];
    if (end.watched == events) return;
    if (events == 0) loop_.remove(end.fd.get());
    else if (end.watched != 0) loop_.modify(end.fd.get(), events);
    else if (!loop_.add(end.fd.get(), events, [this, which](uint32_t seen) { happened(which, seen); }).ok()) return;
    end.watched = events;
  }

  void close() {
    for (size_t each : {0, 1}) {
      watch(each, 0);
      ends_[each].fd.reset();
    }
  }

  EventLoop& loop_;
  std::function<void()> over_;
  End ends_[2];
  bool connected_ = false;
  uint64_t deadline_ = 0;
};

class StreamProxy : public ProxyListener {
 public:
  StreamProxy(EventLoop& loop, const Device& device, UniqueFd socket) : ProxyListener(loop, device, std::move(socket)) {}
  ~StreamProxy() override { StreamProxy::pause(); }

  Status open(const ProxyTarget& target) override {
    target_ = target;
    if (!listening_ && listen(socket_.get(), backlog) != 0) return errnoError("listen at " + device_.listen);
    listening_ = true;
    if (open_) return {};
    DROVER_TRY(loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) { accept(); }));
    open_ = true;
    return {};
  }

  void pause() override {
    if (open_) loop_.remove(socket_.get());
    open_ = false;
    loop_.cancel(again_);
    links_.clear();
  }

 private:
  void accept() {
    while (links_.size() < mostConnections) {
      UniqueFd client(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client.valid()) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
          loop_.modify(socket_.get(), 0);
          again_ = loop_.after(acceptAgainMs, [this] { loop_.modify(socket_.get(), EPOLLIN); });
        }
        return;
      }
      auto inside = connectInside(target_);
      // As from a port at which nobody listens, but for its being too late to refuse.
      if (!inside.ok()) {
        cut(client);
        continue;
      }
      const uint64_t id = ++last_;
      auto link = std::make_unique<Link>(loop_, std::move(client), std::move(inside.value()), [this, id] { over(id); });
      Link& begun = *link;
      links_[id] = std::move(link);
      begun.begin();
    }
    loop_.modify(socket_.get(), 0);
  }

  void over(uint64_t id) {
    const bool wasFull = links_.size() >= mostConnections;
    links_.erase(id);
    if (wasFull && open_) loop_.modify(socket_.get(), EPOLLIN);
  }

  ProxyTarget target_;
  bool listening_ = false, open_ = false;
  uint64_t again_ = 0, last_ = 0;
  std::map<uint64_t, std::unique_ptr<Link>> links_;
};

}  // namespace

std::unique_ptr<ProxyListener> makeStreamProxy(EventLoop& loop, const Device& device, UniqueFd socket) {
  return std::make_unique<StreamProxy>(loop, device, std::move(socket));
}

}  // namespace drover
