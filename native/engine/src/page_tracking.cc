#include "page_tracking.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <linux/userfaultfd.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
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
constexpr uint64_t mostMapping = 1ULL << 36;
constexpr int attempts = 3;
constexpr auto betweenAttempts = std::chrono::milliseconds(100);

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

/** Private mappings that can be read: anonymous ones, the heap among them but no stack, which grows, and those of files. */
std::vector<PageRange> privateMappings(std::string_view maps) {
  std::vector<PageRange> found;
  for (auto line : splitAt(maps, '\n')) {
    auto mapping = parseMapping(line);
    if (!mapping || !mapping->readable || !mapping->isPrivate || mapping->end - mapping->start > mostMapping) continue;
    const bool ofFile = mapping->inode != 0;
    if (!ofFile && !mapping->name.empty() && mapping->name != "[heap]" && !mapping->name.starts_with("[anon")) continue;
    if (ofFile || mapping->writable) found.push_back({.start = mapping->start, .end = mapping->end, .ofFile = ofFile});
  }
  return found;
}

/** What smaps says of mappings, by where they begin. */
struct MappingFlags {
  /** The kernel keeps no memory in reserve for them, as CRIU finds it, too (`nr`). */
  std::set<uint64_t> unreserved;
  /** Huge pages of hugetlbfs, or a device's memory. */
  std::set<uint64_t> unusual;
};

MappingFlags flagsOf(std::string_view smaps) {
  MappingFlags found;
  uint64_t start = 0;
  for (auto line : splitAt(smaps, '\n')) {
    if (line.starts_with("VmFlags:")) {
      auto has = [&](std::string_view flag) { return line.find(flag) != std::string_view::npos; };
      if (has(" nr")) found.unreserved.insert(start);
      if (has(" ht") || has(" io") || has(" pf") || has(" mm")) found.unusual.insert(start);
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

Result<UniqueFd> openUserfaultIn(pid_t pid) {
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

/** A thread in an uninterruptible sleep is usually out of it soon. */
Result<UniqueFd> openUserfault(pid_t pid) {
  Result<UniqueFd> opened = UniqueFd();
  for (int attempt = 1;; attempt++) {
    // What it traces and could not stop is let go when it ends.
    std::thread([&] { opened = openUserfaultIn(pid); }).join();
    if (opened.ok() || opened.error().code != "TIMED_OUT" || attempt == attempts) return opened;
    std::this_thread::sleep_for(betweenAttempts);
  }
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

Result<PageTracking> PageTracking::look(pid_t pid) {
  PageTracking tracking;
  tracking.pid_ = pid;
  tracking.innerPid_ = innerPidOf(pid);
  const std::string process = "/proc/" + std::to_string(pid);
  tracking.pagemap_.reset(open((process + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  tracking.memory_.reset(open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!tracking.pagemap_.valid() || !tracking.memory_.valid()) return errnoError("open the memory of process " + std::to_string(pid));
  DROVER_TRY_ASSIGN(maps, readFile(process + "/maps", mostMaps));
  for (const PageRange& mapping : privateMappings(maps)) {
    DROVER_TRY_ASSIGN(there, scan(tracking.pagemap_.get(), mapping, Scan::all));
    if (!there.empty()) tracking.worth_.push_back(mapping);
    for (const PageRange& range : there) tracking.pages_ += range.pages();
  }
  tracking.unchanging_ = vdsoOf(maps);
  return tracking;
}

Status PageTracking::begin() {
  if (innerPid_ <= 0 || writtenByDevices()) return {};
  DROVER_TRY_ASSIGN(userfault, openUserfault(pid_));
  userfault_ = std::move(userfault);
  DROVER_TRY(prepare(userfault_.get()));
  DROVER_TRY_ASSIGN(smaps, readFile("/proc/" + std::to_string(pid_) + "/smaps", mostMaps));
  const MappingFlags flags = flagsOf(smaps);
  for (PageRange& mapping : std::exchange(worth_, {})) {
    if (flags.unusual.contains(mapping.start)) continue;
    if (flags.unreserved.contains(mapping.start)) mapping.flags = MAP_NORESERVE;
    if (protect(userfault_.get(), mapping)) ranges_.push_back(mapping);
  }
  if (ranges_.empty()) return {};
  if (unchanging_.pages() > 0) ranges_.push_back(unchanging_);
  std::sort(ranges_.begin(), ranges_.end(), [](const PageRange& left, const PageRange& right) { return left.start < right.start; });
  return {};
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
  const std::string process = "/proc/" + std::to_string(pid_);
  // One that has ended will not be in the dump.
  auto unknown = [&] { return access(process.c_str(), F_OK) == 0; };
  auto maps = readFile(process + "/maps", mostMaps);
  if (!maps.ok()) return unknown();
  if (maps.value().find("[aio]") != std::string::npos) return true;
  std::error_code error;
  // It may end while it is looked at.
  for (std::filesystem::directory_iterator entry(process + "/fdinfo", error), end; !error && entry != end; entry.increment(error)) {
    auto info = readFile(entry->path(), 4096);
    if (!info.ok()) continue;
    size_t flags = info.value().find("flags:");
    if (flags != std::string::npos && (strtoul(info.value().c_str() + flags + 6, nullptr, 8) & O_DIRECT)) return true;
  }
  return error && unknown();
}

}  // namespace drover
