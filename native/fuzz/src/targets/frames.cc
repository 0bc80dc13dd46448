// Bytes of a client: cut into frames however they come, then each frame as a request and as a frame of an exec session.
#include "exec_request.h"
#include "frame_decoder.h"
#include "json_io.h"
#include "request.h"
#include "target.h"

using namespace drover;

namespace {

struct Decoded {
  std::vector<Frame> frames;
  std::string error;
};

Decoded decode(std::string_view bytes, size_t piece) {
  FrameDecoder decoder;
  Decoded decoded;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    decoder.append(bytes.substr(at, piece));
    for (;;) {
      auto frame = decoder.next();
      if (!frame.ok()) {
        decoded.error = frame.error().code;
        return decoded;
      }
      if (!frame.value()) break;
      must(frame.value()->payload.size() < maxFrameBytes, "a payload is below the limit");
      decoded.frames.push_back(*frame.value());
    }
  }
  return decoded;
}

void run(std::string_view input) {
  if (input.empty()) return;
  const size_t piece = static_cast<uint8_t>(input[0]) + 1;
  const auto pieces = decode(input.substr(1), piece), whole = decode(input.substr(1), input.size());
  must(pieces.error == whole.error && pieces.frames.size() == whole.frames.size(), "how the bytes are cut changes nothing");
  for (size_t i = 0; i < whole.frames.size(); ++i) {
    const Frame& frame = whole.frames[i];
    must(frame.type == pieces.frames[i].type && frame.payload == pieces.frames[i].payload, "how the bytes are cut changes no frame");
    Json id = nullptr;
    auto request = parseRequest(frame.type, frame.payload, id);
    if (request.ok()) (void)parseCall(request.value());
    if (auto size = parseTerminalSize(frame.payload); size.ok()) must(size.value().columns > 0 && size.value().rows > 0, "a terminal has a size");
    if (auto signal = parseSignal(frame.payload); signal.ok()) must(signal.value() >= 1 && signal.value() <= 64, "a signal is one");
  }
}

const Registered registered("frames", run);

}  // namespace
