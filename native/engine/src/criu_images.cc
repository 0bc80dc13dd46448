// See criu_images.h.
#include "criu_images.h"

#include <cstdint>
#include <memory>

#include "criu_images.pb-c.h"

namespace drover {

namespace {
/** Two magic numbers open every image; each entry then follows its length. */
constexpr size_t imageHeader = 8;
}  // namespace

Result<std::vector<std::string>> regularFilesIn(std::string_view image) {
  std::vector<std::string> names;
  for (size_t at = imageHeader; at + sizeof(uint32_t) <= image.size();) {
    uint32_t length = 0;
    memcpy(&length, image.data() + at, sizeof length);
    at += sizeof length;
    if (length > image.size() - at) return engineError("files.img is cut off");
    auto* bytes = reinterpret_cast<const uint8_t*>(image.data() + at);
    std::unique_ptr<CriuFile, void (*)(CriuFile*)> entry(criu_file__unpack(nullptr, length, bytes),
                                                         [](CriuFile* file) { criu_file__free_unpacked(file, nullptr); });
    at += length;
    if (entry && entry->regular && entry->regular->name) names.push_back(entry->regular->name);
  }
  return names;
}

}  // namespace drover
