// The calls of a move that a container stands still for, as their callers see them. Loop's thread.
//
// - Nobody hears of a change before the answer that says the same: an agent that works on the news would take the processor from the
//   answer, on which the blackout waits.
// - The images of a dump are complete a few milliseconds before the call that asked for it is: who asks for that meanwhile can send them.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "error.h"

namespace drover {

class MoveCalls {
 public:
  /** Callable from any thread, once. */
  using Respond = std::function<void(Result<nlohmann::json>)>;

  void begin(const std::string& container);
  /** Who still waits for images learns that there are none. */
  void answered(const std::string& container);
  /** Some time after its answer was sent. True: the container has changed meanwhile, and nobody was told. */
  bool end(const std::string& container);
  /** True: not the time to tell. */
  bool keepsQuiet(const std::string& container);

  /** `diskStands`: nothing will change in the writable layer any more. */
  void imagesComplete(const std::string& container, bool diskStands);
  /** Answers as soon as the images are complete, or no call is under way that could make any. */
  void whenImagesComplete(const std::string& container, const Respond& respond);

 private:
  struct UnderWay {
    int calls = 0;
    bool changed = false;
    std::optional<nlohmann::json> images;
    std::vector<Respond> waiting;
  };
  std::map<std::string, UnderWay> underWay_;
};

}  // namespace drover
