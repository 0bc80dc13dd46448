// See criu_images.h.
#include "criu_images.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>

#include "criu_images.pb-c.h"

namespace drover {

namespace {
/** Two magic numbers open every image; each entry then follows its length. */
constexpr size_t imageHeader = 8;
/** CRIU's FD_TYPES__TIMERFD. */
constexpr int timerType = 17;
/** CRIU's PE_PARENT. */
constexpr uint32_t pagesInParent = 1 << 0;

using File = std::unique_ptr<CriuFile, void (*)(CriuFile*)>;

/** Calls with each entry's bytes. */
template <class Visit>
Status eachEntry(std::string_view image, Visit visit) {
  for (size_t at = imageHeader; at + sizeof(uint32_t) <= image.size();) {
    uint32_t length = 0;
    memcpy(&length, image.data() + at, sizeof length);
    at += sizeof length;
    if (length > image.size() - at) return engineError("an image of CRIU is cut off");
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

/** Whether it was another one. */
bool replace(uint32_t& set, const std::map<uint32_t, uint32_t>& instead) {
  const auto found = instead.find(set);
  if (found != instead.end()) set = found->second;
  return found != instead.end();
}

void append(std::string& image, std::string_view entry) {
  const uint32_t length = entry.size();
  image.append(reinterpret_cast<const char*>(&length), sizeof length).append(entry);
}

std::optional<PageRange> pagesIn(std::string_view bytes) {
  std::unique_ptr<CriuPages, void (*)(CriuPages*)> pages(criu_pages__unpack(nullptr, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data())),
                                                         [](CriuPages* entry) { criu_pages__free_unpacked(entry, nullptr); });
  if (!pages) return std::nullopt;
  const uint64_t count = pages->has_count ? pages->count : pages->count_32;
  if (pages->start % pageBytes != 0 || count > (UINT64_MAX - pages->start) / pageBytes) return std::nullopt;
  return PageRange{.start = pages->start, .end = pages->start + count * pageBytes};
}

void appendPagesOfParent(std::string& image, uint64_t start, uint64_t end) {
  CriuPages pages = CRIU_PAGES__INIT;
  pages.has_start = pages.has_count_32 = pages.has_flags = pages.has_count = 1;
  pages.start = start;
  pages.count = (end - start) / pageBytes;
  // It has to be there, and counts where the other one is not.
  pages.count_32 = pages.count > UINT32_MAX ? 0 : static_cast<uint32_t>(pages.count);
  pages.flags = pagesInParent;
  std::string packed(criu_pages__get_packed_size(&pages), '\0');
  criu_pages__pack(&pages, reinterpret_cast<uint8_t*>(packed.data()));
  append(image, packed);
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
    append(mended, packed);
  }));
  if (!any) return std::optional<std::string>();
  return std::optional<std::string>(std::move(mended));
}

Result<std::map<uint32_t, uint32_t>> equalCgroupSets(std::string_view image) {
  std::map<uint32_t, uint32_t> equal;
  std::map<std::string, uint32_t> known;
  std::set<uint32_t> seen;
  DROVER_TRY(eachEntry(image, [&](std::string_view bytes) {
    std::unique_ptr<CriuCgroups, void (*)(CriuCgroups*)> entry(criu_cgroups__unpack(nullptr, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data())),
                                                               [](CriuCgroups* cgroups) { criu_cgroups__free_unpacked(cgroups, nullptr); });
    for (size_t i = 0; entry && i < entry->n_sets; i++) {
      const CriuCgroupSet& set = *entry->sets[i];
      if (!seen.insert(set.id).second) continue;
      std::string members;
      for (size_t j = 0; j < set.n_member_of; j++) append(members, {reinterpret_cast<const char*>(set.member_of[j].data), set.member_of[j].len});
      const auto [first, isNew] = known.emplace(std::move(members), set.id);
      if (!isNew) equal[set.id] = first->second;
    }
  }));
  return equal;
}

Result<std::optional<std::string>> withCgroupSets(std::string_view image, const std::map<uint32_t, uint32_t>& instead) {
  std::string changed(image.substr(0, imageHeader));
  bool any = false;
  DROVER_TRY(eachEntry(image, [&](std::string_view bytes) {
    std::unique_ptr<CriuCore, void (*)(CriuCore*)> core(criu_core__unpack(nullptr, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data())),
                                                        [](CriuCore* entry) { criu_core__free_unpacked(entry, nullptr); });
    bool other = core && core->task && core->task->has_cgroup_set && replace(core->task->cgroup_set, instead);
    if (core && core->thread && core->thread->has_cgroup_set && replace(core->thread->cgroup_set, instead)) other = true;
    any = any || other;
    std::string packed(bytes);
    if (other) {
      packed.resize(criu_core__get_packed_size(core.get()));
      criu_core__pack(core.get(), reinterpret_cast<uint8_t*>(packed.data()));
    }
    append(changed, packed);
  }));
  if (!any) return std::optional<std::string>();
  return std::optional<std::string>(std::move(changed));
}

Result<std::optional<std::string>> withPagesOfParent(std::string_view image, const std::vector<PageRange>& ranges) {
  std::string merged(image.substr(0, imageHeader));
  bool first = true, understood = true;
  size_t next = 0;
  uint64_t from = 0;
  // What comes before `start` of the ranges, and is not in the image.
  auto fill = [&](uint64_t start) {
    for (; next < ranges.size() && ranges[next].start < start; next++) {
      const uint64_t begin = std::max(from, ranges[next].start), end = std::min(start, ranges[next].end);
      if (begin < end) appendPagesOfParent(merged, begin, end);
      if (ranges[next].end > start) break;
    }
  };
  DROVER_TRY(eachEntry(image, [&](std::string_view bytes) {
    // Which file the pages are in.
    if (!std::exchange(first, false)) {
      const auto pages = pagesIn(bytes);
      understood = understood && pages && pages->start >= from;
      if (!understood) return;
      fill(pages->start);
      from = pages->end;
    }
    append(merged, bytes);
  }));
  if (first || !understood) return engineError("a list of pages of CRIU is not in order");
  fill(UINT64_MAX);
  if (ranges.empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(merged));
}

}  // namespace drover
