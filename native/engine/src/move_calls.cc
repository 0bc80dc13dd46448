// See move_calls.h.
#include "move_calls.h"

#include <utility>

namespace drover {
namespace {

nlohmann::json answer(bool complete, bool diskStands) { return {{"complete", complete}, {"diskStands", diskStands}}; }

}  // namespace

void MoveCalls::begin(const std::string& container) { ++underWay_[container].calls; }

void MoveCalls::answered(const std::string& container) {
  UnderWay& ended = underWay_[container];
  ended.images.reset();
  for (const Respond& respond : std::exchange(ended.waiting, {})) respond(answer(false, false));
}

bool MoveCalls::end(const std::string& container) {
  auto found = underWay_.find(container);
  if (found == underWay_.end() || --found->second.calls > 0) return false;
  const UnderWay ended = std::move(found->second);
  underWay_.erase(found);
  // They came after the answer.
  for (const Respond& respond : ended.waiting) respond(answer(false, false));
  return ended.changed;
}

bool MoveCalls::keepsQuiet(const std::string& container) {
  auto found = underWay_.find(container);
  if (found == underWay_.end()) return false;
  found->second.changed = true;
  return true;
}

void MoveCalls::imagesComplete(const std::string& container, bool diskStands) {
  auto found = underWay_.find(container);
  if (found == underWay_.end()) return;
  found->second.images = answer(true, diskStands);
  for (const Respond& respond : std::exchange(found->second.waiting, {})) respond(*found->second.images);
}

void MoveCalls::whenImagesComplete(const std::string& container, const Respond& respond) {
  auto found = underWay_.find(container);
  if (found == underWay_.end()) return respond(answer(false, false));
  if (found->second.images) return respond(*found->second.images);
  found->second.waiting.push_back(respond);
}

}  // namespace drover
