// See shared_comparison.h.
#include "shared_comparison.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace drover {

Result<std::unique_ptr<SharedComparison>> SharedComparison::announce(std::vector<const SharedMemory*> all, const std::string& directory) {
  const std::string path = directory + "/unchanged";
  UniqueFd list(open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!list.valid() || flock(list.get(), LOCK_EX | LOCK_NB) != 0) return errnoError("make " + path);
  return std::unique_ptr<SharedComparison>(new SharedComparison(std::move(all), std::move(list)));
}

void SharedComparison::begin() {
  work_ = std::async(std::launch::async, [this] { compare(); });
}

const std::map<uint64_t, std::vector<PageRange>>& SharedComparison::unchanged() {
  if (work_.valid()) work_.get();
  return unchanged_;
}

void SharedComparison::compare() {
  std::vector<uint64_t> entries;
  for (const SharedMemory* memory : all_) {
    auto same = memory->unchanged();
    if (!same.ok()) continue;
    for (const PageRange& range : same.value()) entries.insert(entries.end(), {memory->id(), range.start, range.end});
    unchanged_.insert_or_assign(memory->id(), std::move(same.value()));
  }
  const size_t bytes = entries.size() * sizeof entries.front();
  if (write(list_.get(), entries.data(), bytes) != static_cast<ssize_t>(bytes)) {
    // Part of a list is none.
    unchanged_.clear();
    (void)!ftruncate(list_.get(), 0);
  }
  flock(list_.get(), LOCK_UN);
}

}  // namespace drover
