// Numeric addresses only ("10.0.0.1:7001", "[fd00::1]:7001"): a name look-up would block the raft thread.
#pragma once

#include <netinet/in.h>

#include <string>

/** False when `text` is not an address and port. */
bool parseAddress(const std::string &text, sockaddr_storage *out);
