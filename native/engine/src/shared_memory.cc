// See shared_memory.h. Read by read(2), never mapped: a process inside may cut the file off at any time.
#include "shared_memory.h"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "file_io.h"
#include "memory_map.h"
#include "words.h"

namespace drover {
namespace {

constexpr size_t mostMaps = 64 << 20;
constexpr uint64_t mostBytes = 1ULL << 36;
/** Stays in a processor's cache between being read and being looked at. */
constexpr uint64_t runBytes = 256 << 10;
/** More would compete with the dump, which goes on meanwhile. */
constexpr unsigned mostThreads = 2;

/** Of files without a name; 0: it can't be told. */
dev_t namelessDevice() {
  static const dev_t device = [] {
    UniqueFd file(memfd_create("drover", MFD_CLOEXEC));
    struct stat info{};
    return file.valid() && fstat(file.get(), &info) == 0 ? info.st_dev : 0;
  }();
  return device;
}

bool mayBeNameless(const Mapping& mapping) {
  return mapping.inode != 0 && !mapping.isPrivate && (mapping.name == "/dev/zero (deleted)" || mapping.name.starts_with("/memfd:"));
}

std::string fileOf(pid_t pid, const Mapping& mapping) {
  char text[64];
  snprintf(text, sizeof text, "/proc/%d/map_files/%llx-%llx", pid, static_cast<unsigned long long>(mapping.start), static_cast<unsigned long long>(mapping.end));
  return text;
}

/** Neighbouring pages of one state as one range each. */
template <class States, class State>
std::vector<PageRange> rangesOf(const States& states, State wanted) {
  std::vector<PageRange> found;
  for (size_t page = 0; page < states.size(); page++) {
    if (states[page] != wanted) continue;
    const uint64_t start = page * pageBytes;
    if (!found.empty() && found.back().end == start) found.back().end += pageBytes;
    else found.push_back({.start = start, .end = start + pageBytes});
  }
  return found;
}

}  // namespace

std::vector<std::unique_ptr<SharedMemory>> SharedMemory::of(const std::vector<pid_t>& processes, uint64_t leastPages, size_t most) {
  std::vector<std::unique_ptr<SharedMemory>> found;
  std::set<uint64_t> seen;
  for (pid_t pid : processes) {
    auto maps = readFile("/proc/" + std::to_string(pid) + "/maps", mostMaps);
    if (!maps.ok()) continue;
    for (auto line : splitAt(maps.value(), '\n')) {
      auto mapping = parseMapping(line);
      if (!mapping || !mayBeNameless(*mapping) || found.size() >= most || !seen.insert(mapping->inode).second) continue;
      UniqueFd file(open(fileOf(pid, *mapping).c_str(), O_RDONLY | O_CLOEXEC));
      struct stat info{};
      // The name is what a process chose; the device is not.
      const bool nameless = file.valid() && fstat(file.get(), &info) == 0 && info.st_dev == namelessDevice() && S_ISREG(info.st_mode);
      const auto sizeBytes = static_cast<uint64_t>(info.st_size);
      // CRIU's number for it has 32 bits.
      if (!nameless || info.st_ino > UINT32_MAX || sizeBytes > mostBytes || static_cast<uint64_t>(info.st_blocks) * 512 < leastPages * pageBytes) continue;
      found.push_back(std::unique_ptr<SharedMemory>(new SharedMemory(std::move(file), info.st_ino, sizeBytes)));
    }
  }
  return found;
}

SharedMemory::SharedMemory(UniqueFd file, uint64_t id, uint64_t sizeBytes) : file_(std::move(file)), id_(id), sizeBytes_(sizeBytes) {
  const uint64_t pages = (sizeBytes + pageBytes - 1) / pageBytes;
  ranges_.push_back({.start = 0, .end = pages * pageBytes});
  hashes_.resize(pages);
  known_.resize(pages);
}

std::string SharedMemory::pagemapName() const { return "pagemap-shmem-" + std::to_string(id_) + ".img"; }

Result<std::vector<PageRange>> SharedMemory::takeWritten() {
  DROVER_TRY_ASSIGN(states, compare(1));
  return rangesOf(states, State::different);
}

Result<std::vector<PageRange>> SharedMemory::unchanged() const {
  DROVER_TRY_ASSIGN(states, compare(std::clamp(std::thread::hardware_concurrency(), 1u, mostThreads)));
  return rangesOf(states, State::same);
}

Status SharedMemory::read(uint64_t offset, void* buffer, size_t length) const {
  size_t done = 0;
  while (done < length) {
    ssize_t got = pread(file_.get(), static_cast<char*>(buffer) + done, length - done, static_cast<off_t>(offset + done));
    if (got < 0) return errnoError("read shared memory");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  // The last page may be a part of one; what is beyond the end is nobody's.
  if (done < length && offset + done != sizeBytes_) return engineError("read shared memory: it has become shorter");
  memset(static_cast<char*>(buffer) + done, 0, length - done);
  return {};
}

void SharedMemory::copied(uint64_t offset, const char* page) {
  hashes_[offset / pageBytes] = hashPage(page);
  known_[offset / pageBytes] = 1;
}

/** Where there is something, of what is copied. */
Result<std::vector<PageRange>> SharedMemory::data() const {
  std::vector<PageRange> found;
  const uint64_t end = ranges_.front().end;
  for (off_t at = 0; static_cast<uint64_t>(at) < end;) {
    const off_t from = lseek(file_.get(), at, SEEK_DATA);
    if (from < 0 && errno == ENXIO) break;
    const off_t to = from < 0 ? -1 : lseek(file_.get(), from, SEEK_HOLE);
    if (to < 0) return errnoError("look through shared memory");
    // A hole begins at the end of a file at the latest, which may be within a page.
    const PageRange range{.start = static_cast<uint64_t>(from) / pageBytes * pageBytes, .end = std::min(end, (static_cast<uint64_t>(to) + pageBytes - 1) / pageBytes * pageBytes)};
    if (range.start < range.end) found.push_back(range);
    at = to;
  }
  return found;
}

Result<std::vector<SharedMemory::State>> SharedMemory::compare(unsigned threads) const {
  std::vector<State> states(hashes_.size(), State::nothing);
  struct stat info{};
  if (fstat(file_.get(), &info) != 0) return errnoError("look at shared memory");
  DROVER_TRY_ASSIGN(there, data());
  std::vector<PageRange> runs;
  for (const PageRange& range : there)
    for (uint64_t at = range.start; at < range.end; at += runBytes) runs.push_back({.start = at, .end = std::min(range.end, at + runBytes)});
  // One that has become another size is another one.
  if (static_cast<uint64_t>(info.st_size) != sizeBytes_) {
    for (const PageRange& run : runs) std::fill_n(states.begin() + static_cast<ssize_t>(run.start / pageBytes), run.pages(), State::different);
    return states;
  }
  std::atomic<size_t> next = 0;
  auto work = [&] {
    std::string buffer(runBytes, '\0');
    for (size_t at = next++; at < runs.size(); at = next++) compareRun(runs[at], buffer.data(), states.data());
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads && i < runs.size(); i++) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return states;
}

void SharedMemory::compareRun(const PageRange& run, char* buffer, State* states) const {
  const bool anyKnown = std::any_of(known_.begin() + static_cast<ssize_t>(run.start / pageBytes), known_.begin() + static_cast<ssize_t>(run.end / pageBytes), [](uint8_t known) { return known; });
  const bool readable = anyKnown && read(run.start, buffer, run.end - run.start).ok();
  for (uint64_t at = run.start; at < run.end; at += pageBytes) {
    const uint64_t page = at / pageBytes;
    const bool same = readable && known_[page] && hashPage(buffer + (at - run.start)) == hashes_[page];
    states[page] = same ? State::same : State::different;
  }
}

}  // namespace drover
