// Builds rtnetlink requests in a buffer and sends them, each waiting for the kernel's acknowledgement. See netlink(7).
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "unique_fd.h"

namespace drover {

class NetlinkMessage {
 public:
  NetlinkMessage(uint16_t type, uint16_t flags);
  /** Appends a fixed header (ifinfomsg, ifaddrmsg, rtmsg). */
  template <class T>
  void header(const T& value) {
    append(&value, sizeof value);
  }
  void attribute(uint16_t type, const void* data, size_t size);
  void attribute(uint16_t type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  void attribute(uint16_t type, uint32_t number) { attribute(type, &number, sizeof number); }
  /** Opens a nested attribute; close it with its return value. */
  size_t open(uint16_t type);
  void close(size_t opened);
  const std::vector<char>& finish();

 private:
  void append(const void* data, size_t size);
  std::vector<char> bytes_;
};

class NetlinkSocket {
 public:
  /** In the network namespace of the descriptor, or in the caller's with -1. */
  static Result<NetlinkSocket> open(int networkNamespace);
  /** 0 or the errno that the kernel answered. */
  int request(NetlinkMessage& message);
  /** Of a request with NLM_F_DUMP, or for one thing: each answer as it comes. 0 or an errno. */
  int dump(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& take);
  /** Of an interface in the socket's network namespace; 0 when there is none. */
  int indexOf(const std::string& name) const;

 private:
  UniqueFd socket_;
};

/** 0 or an errno, when a datagram of the kernel's is an acknowledgement. No effects; fuzzed as `netlink`. */
std::optional<int> netlinkResult(std::string_view answer);

/** A socket made in the network namespace; the thread is back in its own when this returns. */
Result<UniqueFd> socketInside(int networkNamespace, int family, int type, int protocol);

}  // namespace drover
