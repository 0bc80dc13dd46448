// A proxy of datagrams: for each client (its address and port) a socket in the container, through which answers find their way back,
// until neither has said anything for a while. See proxy_listener.h.
#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "pidfd.h"
#include "proxy_listener.h"

namespace drover {

namespace {

/** RFC 4787 asks of those that translate addresses to remember for two minutes at least. */
constexpr int64_t idleMs = 120'000;
constexpr int64_t lookMs = 15'000;
/** Of further clients nothing is carried until one is forgotten. */
constexpr size_t mostClients = 512;
constexpr int datagramsPerTurn = 64;
constexpr size_t largestDatagram = 65'536;

struct Client {
  UniqueFd inside;
  sockaddr_storage address;
  socklen_t length;
  int64_t lastMs;
};

class DatagramProxy : public ProxyListener {
 public:
  DatagramProxy(EventLoop& loop, const Device& device, UniqueFd socket) : ProxyListener(loop, device, std::move(socket)) {}
  ~DatagramProxy() override { DatagramProxy::pause(); }

  Status open(const ProxyTarget& target) override {
    target_ = target;
    if (open_) return {};
    DROVER_TRY(loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) { fromClients(); }));
    open_ = true;
    return {};
  }

  void pause() override {
    if (open_) loop_.remove(socket_.get());
    open_ = false;
    loop_.cancel(look_);
    look_ = 0;
    while (!clients_.empty()) forget(clients_.begin());
  }

 private:
  using Clients = std::map<std::string, Client>;

  void fromClients() {
    for (int turn = 0; turn < datagramsPerTurn; ++turn) {
      sockaddr_storage address = {};
      socklen_t length = sizeof address;
      ssize_t count = recvfrom(socket_.get(), datagram().data(), largestDatagram, 0, reinterpret_cast<sockaddr*>(&address), &length);
      // An error here is of a datagram that was sent, and is over with by being read.
      if (count < 0 && errno == EAGAIN) return;
      if (count < 0) continue;
      Client* client = clientOf(address, length);
      if (!client) continue;
      client->lastMs = nowMs();
      (void)!send(client->inside.get(), datagram().data(), static_cast<size_t>(count), MSG_NOSIGNAL);
    }
  }

  void fromInside(const std::string& key) {
    auto found = clients_.find(key);
    if (found == clients_.end()) return;
    Client& client = found->second;
    for (int turn = 0; turn < datagramsPerTurn; ++turn) {
      ssize_t count = recv(client.inside.get(), datagram().data(), largestDatagram, 0);
      if (count < 0 && errno == EAGAIN) return;
      if (count < 0) continue;
      client.lastMs = nowMs();
      (void)!sendto(socket_.get(), datagram().data(), static_cast<size_t>(count), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&client.address), client.length);
    }
  }

  Client* clientOf(const sockaddr_storage& address, socklen_t length) {
    std::string key(reinterpret_cast<const char*>(&address), length);
    auto known = clients_.find(key);
    if (known != clients_.end()) return &known->second;
    if (clients_.size() >= mostClients) return nullptr;
    auto inside = connectInside(target_);
    if (!inside.ok()) return nullptr;
    const int fd = inside.value().get();
    if (!loop_.add(fd, EPOLLIN, [this, key](uint32_t) { fromInside(key); }).ok()) return nullptr;
    if (look_ == 0) look_ = loop_.after(lookMs, [this] { look(); });
    return &clients_.emplace(key, Client{std::move(inside.value()), address, length, nowMs()}).first->second;
  }

  void look() {
    for (auto each = clients_.begin(); each != clients_.end();) {
      auto next = std::next(each);
      if (nowMs() - each->second.lastMs > idleMs) forget(each);
      each = next;
    }
    look_ = clients_.empty() ? 0 : loop_.after(lookMs, [this] { look(); });
  }

  void forget(Clients::iterator client) {
    loop_.remove(client->second.inside.get());
    clients_.erase(client);
  }

  static std::array<char, largestDatagram>& datagram() {
    static thread_local std::array<char, largestDatagram> bytes;
    return bytes;
  }

  ProxyTarget target_;
  bool open_ = false;
  uint64_t look_ = 0;
  Clients clients_;
};

}  // namespace

std::unique_ptr<ProxyListener> makeDatagramProxy(EventLoop& loop, const Device& device, UniqueFd socket) {
  return std::make_unique<DatagramProxy>(loop, device, std::move(socket));
}

}  // namespace drover
