#include "page_tracking.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <linux/userfaultfd.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <utility>

#include "file_io.h"
#include "memory_map.h"
#include "pidfd.h"
#include "remote_syscall.h"
#include "words.h"

namespace drover {
namespace {

// Debian 12's headers are older than the kernels that have it. Values are the kernel's (linux/userfaultfd.h, linux/fs.h).
constexpr uint64_t writeProtectAsync = 1 << 15;
constexpr uint64_t writeProtectUnpopulated = 1 << 13;
constexpr uint64_t writeProtectFlag = 1 << 0;
constexpr int userModeOnly = 1;
constexpr uint64_t isWritten = 1 << 1, isFile = 1 << 2, isPresent = 1 << 3, isSwapped = 1 << 4, isZero = 1 << 5;
constexpr uint64_t protectMatching = 1 << 0;

struct Region {
  uint64_t start, end, categories;
};
struct ScanArguments {
  uint64_t size, flags, start, end, walkEnd, vector, vectorLength, mostPages, inverted, mask, anyOf, returned;
};
constexpr unsigned long scanRequest = _IOWR('f', 16, ScanArguments);
constexpr size_t regionsPerScan = 4096;
constexpr size_t mostMaps = 64 << 20;
/** Smaller mappings are left to the dump. */
constexpr uint64_t leastMapping = 64 << 10;
constexpr uint64_t mostMapping = 1ULL << 36;

Status prepare(int userfault) {
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = writeProtectAsync | writeProtectUnpopulated | writeProtectFlag;
  if (ioctl(userfault, UFFDIO_API, &api) != 0) return errnoError("userfaultfd with asynchronous write protection");
  return {};
}

bool protect(int userfault, const PageRange& range) {
  uffdio_register registered{};
  registered.range = {range.start, range.end - range.start};
  registered.mode = UFFDIO_REGISTER_MODE_WP;
  return ioctl(userfault, UFFDIO_REGISTER, &registered) == 0;
}

enum class Scan { all, written, takeWritten };

/** Pages in memory or swap that are neither a file's nor the zero page. `takeWritten`: those that are written and tracked; they cease to be written. */
Result<std::vector<PageRange>> scan(int pagemap, const PageRange& range, Scan kind) {
  std::vector<PageRange> found;
  std::vector<Region> regions(regionsPerScan);
  for (uint64_t at = range.start; at < range.end;) {
    ScanArguments arguments{};
    arguments.size = sizeof arguments;
    arguments.flags = kind == Scan::takeWritten ? protectMatching : 0;
    arguments.start = at;
    arguments.end = range.end;
    arguments.vector = reinterpret_cast<uint64_t>(regions.data());
    arguments.vectorLength = regions.size();
    arguments.inverted = isZero | isFile;
    arguments.mask = isZero | isFile | (kind == Scan::all ? 0 : isWritten);
    arguments.anyOf = isPresent | isSwapped;
    arguments.returned = isPresent | isSwapped;
    int count = ioctl(pagemap, scanRequest, &arguments);
    if (count < 0) return errnoError("scan pages");
    for (int i = 0; i < count; i++) {
      if (!found.empty() && found.back().end == regions[i].start) found.back().end = regions[i].end;
      else found.push_back({regions[i].start, regions[i].end});
    }
    if (arguments.walkEnd <= at) break;
    at = arguments.walkEnd;
  }
  return found;
}

/** Private anonymous mappings, the heap and the stack among them, that can be written and read. */
std::vector<PageRange> anonymousMappings(std::string_view maps) {
  std::vector<PageRange> found;
  for (auto line : splitAt(maps, '\n')) {
    auto mapping = parseMapping(line);
    if (!mapping || mapping->inode != 0 || !mapping->readable || !mapping->writable || !mapping->isPrivate) continue;
    if (!mapping->name.empty() && mapping->name != "[heap]" && !mapping->name.starts_with("[anon")) continue;
    if (mapping->end - mapping->start >= leastMapping && mapping->end - mapping->start <= mostMapping) found.push_back({mapping->start, mapping->end});
  }
  return found;
}

/** Where mappings begin that the kernel keeps no memory in reserve for, as CRIU finds it, too (smaps, `nr`). */
std::set<uint64_t> unreservedMappings(std::string_view smaps) {
  std::set<uint64_t> found;
  uint64_t start = 0;
  for (auto line : splitAt(smaps, '\n')) {
    if (line.starts_with("VmFlags:")) {
      if (line.find(" nr") != std::string_view::npos) found.insert(start);
    } else if (auto mapping = parseMapping(line)) {
      start = mapping->start;
    }
  }
  return found;
}

/** The vDSO, which CRIU dumps whole as never written. */
PageRange vdsoOf(std::string_view maps) {
  auto mapping = vdsoIn(maps);
  return mapping ? PageRange{.start = mapping->start, .end = mapping->end} : PageRange();
}

pid_t innerPidOf(pid_t pid) {
  auto status = readFile("/proc/" + std::to_string(pid) + "/status", 1 << 16);
  if (!status.ok()) return 0;
  size_t line = status.value().find("\nNSpid:");
  if (line == std::string::npos) return 0;
  std::string ids = status.value().substr(line + 1, status.value().find('\n', line + 1) - line - 1);
  return atoi(ids.substr(ids.find_last_of(" \t") + 1).c_str());
}

Result<UniqueFd> openUserfault(pid_t pid) {
  DROVER_TRY_ASSIGN(process, openPidfd(pid));
  DROVER_TRY_ASSIGN(stopped, StoppedProcess::stop(pid));
  DROVER_TRY_ASSIGN(theirs, stopped.call(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | userModeOnly));
  if (theirs < 0) return errnoError("userfaultfd in process " + std::to_string(pid), static_cast<int>(-theirs));
  UniqueFd own(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), static_cast<int>(theirs), 0)));
  int number = errno;
  DROVER_TRY(stopped.call(SYS_close, theirs));
  if (!own.valid()) return errnoError("take the userfaultfd of process " + std::to_string(pid), number);
  return own;
}

/** A page that is protected, and one that was moved by mremap, which must count as written where it is now. */
bool tryOnOneself() {
  UniqueFd userfault(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | userModeOnly)));
  UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!userfault.valid() || !pagemap.valid() || !prepare(userfault.get()).ok()) return false;
  const size_t length = 4 * pageBytes;
  char* memory = static_cast<char*>(mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* elsewhere = static_cast<char*>(mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED || elsewhere == MAP_FAILED) return false;
  for (size_t at = 0; at < length; at += pageBytes) memory[at] = 1;
  auto count = [&](char* where, Scan kind) {
    auto found = scan(pagemap.get(), {reinterpret_cast<uint64_t>(where), reinterpret_cast<uint64_t>(where) + length}, kind);
    uint64_t pages = 0;
    if (found.ok()) for (const PageRange& range : found.value()) pages += range.pages();
    return found.ok() ? pages : UINT64_MAX;
  };
  bool works = protect(userfault.get(), {reinterpret_cast<uint64_t>(memory), reinterpret_cast<uint64_t>(memory) + length}) &&
               count(memory, Scan::takeWritten) == 4 && count(memory, Scan::takeWritten) == 0;
  if (works) memory[pageBytes] = 2;
  works = works && count(memory, Scan::takeWritten) == 1;
  char* moved = static_cast<char*>(mremap(memory, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere));
  if (moved == MAP_FAILED) {
    munmap(memory, length);
    munmap(elsewhere, length);
    return false;
  }
  works = works && count(moved, Scan::written) == 4;
  munmap(moved, length);
  return works;
}

}  // namespace

bool PageTracking::supported() {
#if defined(__x86_64__)
  static const bool works = sysconf(_SC_PAGESIZE) == static_cast<long>(pageBytes) && tryOnOneself();
  return works;
#else
  return false;
#endif
}

Result<PageTracking> PageTracking::begin(pid_t pid, uint64_t leastPages) {
  PageTracking tracking;
  tracking.pid_ = pid;
  tracking.innerPid_ = innerPidOf(pid);
  const std::string process = "/proc/" + std::to_string(pid);
  tracking.pagemap_.reset(open((process + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  tracking.memory_.reset(open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!tracking.pagemap_.valid() || !tracking.memory_.valid()) return errnoError("open the memory of process " + std::to_string(pid));
  DROVER_TRY_ASSIGN(maps, readFile(process + "/maps", mostMaps));
  std::vector<PageRange> worth;
  uint64_t pages = 0;
  for (const PageRange& mapping : anonymousMappings(maps)) {
    DROVER_TRY_ASSIGN(there, scan(tracking.pagemap_.get(), mapping, Scan::all));
    if (!there.empty()) worth.push_back(mapping);
    for (const PageRange& range : there) pages += range.pages();
  }
  if (pages < leastPages || tracking.innerPid_ <= 0 || tracking.writtenByDevices()) return tracking;
  DROVER_TRY_ASSIGN(userfault, openUserfault(pid));
  tracking.userfault_ = std::move(userfault);
  DROVER_TRY(prepare(tracking.userfault_.get()));
  DROVER_TRY_ASSIGN(smaps, readFile(process + "/smaps", mostMaps));
  const std::set<uint64_t> unreserved = unreservedMappings(smaps);
  for (PageRange& mapping : worth) {
    if (unreserved.contains(mapping.start)) mapping.flags = MAP_NORESERVE;
    if (protect(tracking.userfault_.get(), mapping)) tracking.ranges_.push_back(mapping);
  }
  if (tracking.ranges_.empty()) return tracking;
  tracking.unchanging_ = vdsoOf(maps);
  if (tracking.unchanging_.pages() > 0) tracking.ranges_.push_back(tracking.unchanging_);
  std::sort(tracking.ranges_.begin(), tracking.ranges_.end(), [](const PageRange& left, const PageRange& right) { return left.start < right.start; });
  return tracking;
}

Result<std::vector<PageRange>> PageTracking::takeWritten() {
  std::vector<PageRange> written;
  if (unchanging_.pages() > 0) written.push_back(std::exchange(toldOnce_, true) ? PageRange{} : unchanging_);
  for (const PageRange& mapping : ranges_) {
    DROVER_TRY_ASSIGN(found, scan(pagemap_.get(), mapping, Scan::takeWritten));
    written.insert(written.end(), found.begin(), found.end());
  }
  std::erase_if(written, [](const PageRange& range) { return range.pages() == 0; });
  return written;
}

Status PageTracking::read(uint64_t address, void* buffer, size_t length) const {
  for (size_t done = 0; done < length;) {
    ssize_t got = pread(memory_.get(), static_cast<char*>(buffer) + done, length - done, static_cast<off_t>(address + done));
    if (got <= 0) return got < 0 ? Status(errnoError("read memory")) : Status(engineError("read memory: it is gone"));
    done += static_cast<size_t>(got);
  }
  return {};
}

bool PageTracking::writtenByDevices() const {
  auto maps = readFile("/proc/" + std::to_string(pid_) + "/maps", mostMaps);
  if (!maps.ok() || maps.value().find("[aio]") != std::string::npos) return true;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fdinfo", error)) {
    auto info = readFile(entry.path(), 4096);
    if (!info.ok()) continue;
    size_t flags = info.value().find("flags:");
    if (flags != std::string::npos && (strtoul(info.value().c_str() + flags + 6, nullptr, 8) & O_DIRECT)) return true;
  }
  return static_cast<bool>(error);
}

}  // namespace drover
