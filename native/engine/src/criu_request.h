// What CRIU is asked, as the bytes of its protocol (criu_rpc.proto).
#pragma once

#include <cstdint>
#include <vector>

#include "criu_client.h"

namespace drover {

constexpr const char* criuLogName = "criu.log";
/** 1: errors only, costs nothing. */
int criuLogLevel();
std::vector<uint8_t> packCriuRequest(const CriuRequest& request);

}  // namespace drover
