// libraft's transport interface on TCP: listens, connects, and lets only members with the right handshake through.
//
// Differs from libraft's own: peers prove the cluster secret, connects and handshakes have deadlines, connections in
// handshake are bounded, TCP_NODELAY is set, and a peer that vanished without a word is noticed (TCP_USER_TIMEOUT). No TLS yet.
// All of it runs in the raft thread.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "handshake.h"
#include "libraft.h"

class Transport {
 public:
  Transport(uv_loop_t *loop, Member self, std::vector<Member> members, Token token);

  /** What libraft is given. */
  raft_uv_transport *interface() { return &interface_; }

  /** Closes all handles; `done` is called from the loop. libraft calls it through the interface; we do when it never started. */
  void close(raft_uv_transport_close_cb done);

 private:
  struct Incoming;
  struct Outgoing;

  int listen(raft_uv_accept_cb accept);
  int connect(raft_uv_connect *request, const char *address, raft_uv_connect_cb callback);
  void onConnection(int status);
  void onHandshake(Incoming *incoming, ssize_t count);
  void drop(Incoming *incoming);
  void finish(Outgoing *outgoing, int status);
  void handleClosed();

  uv_loop_t *loop_;
  Member self_;
  std::vector<Member> members_;
  Token token_;
  raft_uv_transport interface_{};
  uv_tcp_t listener_;
  raft_uv_accept_cb accept_ = nullptr;
  raft_uv_transport_close_cb closed_ = nullptr;
  /** Oldest first. */
  std::deque<Incoming *> incoming_;
  std::set<Outgoing *> outgoing_;
  /** Handles of ours that libuv still knows: the listener, and the timers and sockets of handshakes. */
  int openHandles_ = 0;
  bool closing_ = false;
};
