// What CRIU says and writes.
#include "criu_answer.h"
#include "criu_images.h"
#include "target.h"

using namespace drover;

namespace {

void runAnswer(std::string_view input) {
  constexpr size_t most = 100;
  must(errorsInCriuLog(input, most).size() <= most, "errors are bounded");
  auto message = parseCriuMessage(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  if (!message) return;
  must(message->version >= 0, "a version is a number");
  must(message->notification || message->success || !message->trouble.empty(), "a failure has a reason");
}

void runImages(std::string_view input) {
  auto files = regularFilesIn(input);
  if (!files.ok()) return;
  size_t bytes = 0;
  for (const auto& file : files.value()) bytes += file.size();
  must(bytes <= input.size(), "names are parts of the image");
  auto equal = equalCgroupSets(input);
  must(equal.ok(), "an image that can be read has sets of cgroups, or none");
  for (const auto& [set, first] : equal.value()) must(!equal.value().contains(first), "the first of equal sets stays");
  // The images are of other kinds; what is read of one is tried on the same bytes.
  auto moved = withCgroupSets(input, equal.value());
  must(moved.ok(), "an image that can be read can be changed");
  if (moved.value()) must(!withCgroupSets(*moved.value(), equal.value()).value(), "no set is replaced twice");
  const std::vector<PageRange> ranges = {{.start = 0, .end = 4 * pageBytes}, {.start = 8 * pageBytes, .end = 1024 * pageBytes}};
  if (auto merged = withPagesOfParent(input, ranges); merged.ok()) {
    must(merged.value() && merged.value()->size() >= input.size() - sizeof(uint32_t), "nothing of a list of pages is lost");
    must(*withPagesOfParent(*merged.value(), ranges).value() == *merged.value(), "no pages are listed twice");
  }
  auto mended = withTimersArmed(input);
  must(mended.ok(), "an image that can be read can be mended");
  if (!mended.value()) return;
  auto again = withTimersArmed(*mended.value());
  must(again.ok() && !again.value(), "nothing is to be mended twice");
}

const Registered registeredAnswer("criu", runAnswer), registeredImages("criu-images", runImages);

}  // namespace
