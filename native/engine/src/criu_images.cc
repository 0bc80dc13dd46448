// See criu_images.h.
#include "criu_images.h"

#include <cstdint>
#include <memory>

#include "criu_images.pb-c.h"

namespace drover {

namespace {
/** Two magic numbers open every image; each entry then follows its length. */
constexpr size_t imageHeader = 8;
/** CRIU's FD_TYPES__TIMERFD. */
constexpr int timerType = 17;

using File = std::unique_ptr<CriuFile, void (*)(CriuFile*)>;

/** Calls with each entry's bytes. */
template <class Visit>
Status eachEntry(std::string_view image, Visit visit) {
  for (size_t at = imageHeader; at + sizeof(uint32_t) <= image.size();) {
    uint32_t length = 0;
    memcpy(&length, image.data() + at, sizeof length);
    at += sizeof length;
    if (length > image.size() - at) return engineError("files.img is cut off");
    visit(image.substr(at, length));
    at += length;
  }
  return {};
}

File unpack(std::string_view entry) {
  auto* bytes = reinterpret_cast<const uint8_t*>(entry.data());
  return File(criu_file__unpack(nullptr, entry.size(), bytes), [](CriuFile* file) { criu_file__free_unpacked(file, nullptr); });
}

bool isStandingTimer(const CriuFile& file) {
  const CriuTimer* timer = file.has_type && file.type == timerType ? file.timer : nullptr;
  return timer && timer->ticks > 0 && timer->value_seconds == 0 && timer->value_nanoseconds == 0 && (timer->interval_seconds > 0 || timer->interval_nanoseconds > 0);
}

}  // namespace

Result<std::vector<std::string>> regularFilesIn(std::string_view image) {
  std::vector<std::string> names;
  DROVER_TRY(eachEntry(image, [&](std::string_view bytes) {
    File entry = unpack(bytes);
    if (entry && entry->regular && entry->regular->name) names.push_back(entry->regular->name);
  }));
  return names;
}

Result<std::optional<std::string>> withTimersArmed(std::string_view image) {
  std::string mended(image.substr(0, imageHeader));
  bool any = false;
  DROVER_TRY(eachEntry(image, [&](std::string_view bytes) {
    // Most entries are something else: as CRIU writes it, the type comes first.
    constexpr char typeTag = 1 << 3;
    const bool maybe = bytes.size() > 1 && bytes[0] == typeTag && bytes[1] == timerType;
    File entry = maybe ? unpack(bytes) : File(nullptr, [](CriuFile*) {});
    std::string packed(bytes);
    if (entry && isStandingTimer(*entry)) {
      any = true;
      entry->timer->has_value_seconds = entry->timer->has_value_nanoseconds = 1;
      entry->timer->value_seconds = entry->timer->interval_seconds;
      entry->timer->value_nanoseconds = entry->timer->interval_nanoseconds;
      packed.resize(criu_file__get_packed_size(entry.get()));
      criu_file__pack(entry.get(), reinterpret_cast<uint8_t*>(packed.data()));
    }
    const uint32_t length = packed.size();
    mended.append(reinterpret_cast<const char*>(&length), sizeof length).append(packed);
  }));
  if (!any) return std::optional<std::string>();
  return std::optional<std::string>(std::move(mended));
}

}  // namespace drover
