#include "memory_copy.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/uio.h>

#include "crash_point.h"
#include "criu_move.h"
#include "file_io.h"

namespace drover {
namespace {

/** A process with less is left to the dump, which takes it in less time than two stops. */
constexpr uint64_t leastPages = 256;
/** Where all of them together have so many, the smaller ones are most of what a dump would hold. */
constexpr uint64_t manyPages = 1024, leastPagesOfMany = 64;
constexpr size_t mostTasks = 256;
constexpr size_t runBytes = 1 << 20;

// CRIU's image files: magic numbers, then messages, each after its length (criu/include/magic.h, images/*.proto).
constexpr uint32_t commonMagic = 0x54564319, pagemapMagic = 0x56084025, inventoryMagic = 0x58313116;
constexpr uint32_t imageVersion = 2;
constexpr uint32_t entryPresent = 1 << 2;
/** Our own, for preload/pagemap_image.c; CRIU passes over them. */
constexpr unsigned mappingFlagsField = 100, ofFileField = 101;

std::mutex copiesMutex;
std::map<std::string, std::unique_ptr<MemoryCopy>> copies;

void appendNumber(std::string& to, uint32_t number) { to.append(reinterpret_cast<const char*>(&number), sizeof number); }
void appendNumber(std::string& to, uint64_t number) { to.append(reinterpret_cast<const char*>(&number), sizeof number); }

void appendVarint(std::string& to, uint64_t number) {
  for (; number >= 0x80; number >>= 7) to.push_back(static_cast<char>(number | 0x80));
  to.push_back(static_cast<char>(number));
}
void appendField(std::string& to, unsigned field, uint64_t number) {
  appendVarint(to, field << 3);
  appendVarint(to, number);
}
void appendMessage(std::string& to, const std::string& message) {
  appendNumber(to, static_cast<uint32_t>(message.size()));
  to += message;
}

Status writeNew(const std::string& path, const std::string& content) {
  UniqueFd fd(open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid() || write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) return errnoError("write " + path);
  return {};
}

bool allZero(const char* page) {
  return page[0] == 0 && memcmp(page, page + 1, pageBytes - 1) == 0;
}

/** Those that are worth it, at most `mostTasks`. One that ended or can't be looked at is left to the dump. */
std::vector<std::unique_ptr<PageTracking>> worthTracking(const std::vector<pid_t>& processes) {
  std::vector<std::unique_ptr<PageTracking>> found;
  uint64_t pages = 0;
  for (pid_t pid : processes) {
    if (found.size() >= mostTasks) break;
    auto looked = PageTracking::look(pid);
    if (!looked.ok()) continue;
    pages += looked.value().pages();
    if (looked.value().pages() < leastPagesOfMany) continue;
    found.push_back(std::make_unique<PageTracking>(std::move(looked.value())));
  }
  const uint64_t least = pages >= manyPages ? leastPagesOfMany : leastPages;
  std::erase_if(found, [&](const auto& each) { return each->pages() < least; });
  return found;
}

/** Which pages of the run could be read. One that is not there any more counts as written if it comes back. */
std::vector<bool> readPages(const CopiedMemory& task, const PageRange& run, std::string& buffer) {
  std::vector<bool> there(run.pages(), true);
  if (task.read(run.start, buffer.data(), run.end - run.start).ok()) return there;
  for (uint64_t page = 0; page < run.pages(); page++)
    there[page] = task.read(run.start + page * pageBytes, buffer.data() + page * pageBytes, pageBytes).ok();
  return there;
}

}  // namespace

Result<std::unique_ptr<MemoryCopy>> MemoryCopy::begin(Engine& engine, const Container& container, const std::string& directory) {
  std::unique_ptr<MemoryCopy> copy(new MemoryCopy(directory));
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  DROVER_TRY(makeDirectories(std::filesystem::path(directory).parent_path(), 0700));
  if (mkdir(directory.c_str(), 0755) != 0) return errnoError("make " + directory);
  if (!PageTracking::supported()) return copy;
  const std::vector<pid_t> processes = engine.cgroups().processes(container.id);
  for (auto& tracking : worthTracking(processes)) {
    // One that ended or can't be tracked is left to the dump.
    if (!tracking->begin().ok() || tracking->ranges().empty()) continue;
    DROVER_TRY(copy->add(std::move(tracking)));
  }
  for (auto& memory : SharedMemory::of(processes, leastPages, mostTasks)) {
    copy->shared_.push_back(memory.get());
    DROVER_TRY(copy->add(std::move(memory)));
  }
  if (copy->tasks_.empty()) return copy;
  std::string inventory, message;
  appendNumber(inventory, inventoryMagic);
  appendField(message, 1, imageVersion);
  // Time of the dump: a process that was started later counts as another one. Here that needs no guess: what the kernel calls
  // unwritten is the tracked process's own.
  appendField(message, 8, UINT64_MAX);
  appendMessage(inventory, message);
  DROVER_TRY(writeNew(directory + "/inventory.img", inventory));
  return copy;
}

Status MemoryCopy::add(std::unique_ptr<CopiedMemory> memory) {
  tasks_.push_back(std::move(memory));
  return writeImages(tasks_.size() - 1);
}

Status MemoryCopy::writeImages(size_t task) const {
  const CopiedMemory& tracking = *tasks_[task];
  std::string image, message;
  appendNumber(image, commonMagic);
  appendNumber(image, pagemapMagic);
  appendField(message, 1, task + 1);
  appendMessage(image, message);
  for (const PageRange& range : tracking.ranges()) {
    message.clear();
    appendField(message, 1, range.start);
    appendField(message, 2, range.pages());
    appendField(message, 4, entryPresent);
    appendField(message, 5, range.pages());
    if (range.flags != 0) appendField(message, mappingFlagsField, static_cast<uint64_t>(range.flags));
    if (range.ofFile) appendField(message, ofFileField, 1);
    appendMessage(image, message);
  }
  DROVER_TRY(writeNew(directory_ + "/" + tracking.pagemapName(), image));
  // As long as it will be, all holes: the pages themselves only exist at the destination.
  const std::string pages = directory_ + "/pages-" + std::to_string(task + 1) + ".img";
  DROVER_TRY(writeNew(pages, ""));
  if (truncate(pages.c_str(), static_cast<off_t>(placeOf(tracking, UINT64_MAX) * pageBytes)) != 0) return errnoError("make " + pages);
  return {};
}

uint64_t MemoryCopy::placeOf(const CopiedMemory& task, uint64_t address) const {
  uint64_t place = 0;
  for (const PageRange& range : task.ranges()) {
    if (address < range.end) return place + (address - range.start) / pageBytes;
    place += range.pages();
  }
  return place;
}

Status MemoryCopy::beginRound() {
  round_++;
  for (size_t task = 0; task < tasks_.size(); task++) {
    DROVER_TRY_ASSIGN(written, tasks_[task]->takeWritten());
    for (const PageRange& range : written) pending_.push_back({task, range});
  }
  // Taken from the end.
  std::reverse(pending_.begin(), pending_.end());
  return {};
}

Result<MemoryCopy::Part> MemoryCopy::next(int64_t mostBytes) {
  if (pending_.empty()) DROVER_TRY(beginRound());
  Part part;
  part.round = round_;
  std::string index, pages;
  uint32_t runs = 0;
  std::string buffer(runBytes, '\0');
  while (!pending_.empty() && static_cast<int64_t>(pages.size()) < mostBytes) {
    Pending& first = pending_.back();
    CopiedMemory& task = *tasks_[first.task];
    PageRange run{first.range.start, std::min(first.range.end, first.range.start + runBytes)};
    const std::vector<bool> there = readPages(task, run, buffer);
    for (uint64_t page = 0; page < run.pages(); page++)
      if (there[page]) task.copied(run.start + page * pageBytes, buffer.data() + page * pageBytes);
    for (uint64_t at = run.start; at < run.end;) {
      auto page = [&](uint64_t address) { return buffer.data() + (address - run.start); };
      // The destination's file is zero where nothing was written yet.
      auto skipped = [&](uint64_t address) { return !there[(address - run.start) / pageBytes] || (round_ == 1 && allZero(page(address))); };
      const bool skip = skipped(at);
      uint64_t end = at + pageBytes;
      while (end < run.end && skipped(end) == skip) end += pageBytes;
      if (!skip) {
        appendNumber(index, static_cast<uint32_t>(first.task + 1));
        appendNumber(index, static_cast<uint32_t>((end - at) / pageBytes));
        appendNumber(index, placeOf(task, at));
        pages.append(page(at), end - at);
        runs++;
      }
      at = end;
    }
    first.range.start = run.end;
    if (first.range.start >= first.range.end) pending_.pop_back();
  }
  for (const Pending& left : pending_) part.leftBytes += static_cast<int64_t>(left.range.pages() * pageBytes);
  part.bytes = static_cast<int64_t>(pages.size());
  if (runs == 0) return part;
  part.file = "part-" + std::to_string(++parts_);
  UniqueFd fd(open((directory_ + "/" + part.file).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  iovec vectors[] = {{&runs, sizeof runs}, {index.data(), index.size()}, {pages.data(), pages.size()}};
  size_t total = sizeof runs + index.size() + pages.size();
  if (!fd.valid() || writev(fd.get(), vectors, 3) != static_cast<ssize_t>(total)) return errnoError("write memory to " + directory_);
  return part;
}

bool MemoryCopy::reliable() const {
  // What was protected and not yet written out would be missing at the destination.
  if (tasks_.empty() || round_ == 0 || !pending_.empty()) return false;
  return std::none_of(tasks_.begin(), tasks_.end(), [](const auto& task) { return task->writtenByDevices(); });
}

Result<std::unique_ptr<SharedComparison>> MemoryCopy::announceComparison() const {
  if (shared_.empty()) return std::unique_ptr<SharedComparison>();
  return SharedComparison::announce(shared_, directory_);
}

Result<nlohmann::json> copyMemory(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, int64_t mostBytes) {
  std::unique_ptr<MemoryCopy> copy = takeMemoryCopy(container->id);
  if (mostBytes == 0) return nlohmann::json{{"file", nullptr}, {"bytes", 0}, {"round", 0}, {"leftBytes", 0}, {"tracked", false}};
  const Record record = container->snapshot();
  if (record.state != State::running) return wrongState(*container, "copy the memory of", record.state, "running");
  if (!copy || copy->directory() != directory) {
    copy.reset();
    DROVER_TRY_ASSIGN(begun, MemoryCopy::begin(engine, *container, directory));
    copy = std::move(begun);
    crashPoint("copy:tracked");
  }
  DROVER_TRY_ASSIGN(part, copy->next(mostBytes));
  crashPoint("copy:part");
  nlohmann::json result = {{"bytes", part.bytes}, {"round", part.round}, {"leftBytes", part.leftBytes}, {"tracked", copy->anything()}};
  result["file"] = part.file.empty() ? nlohmann::json() : nlohmann::json(part.file);
  std::lock_guard lock(copiesMutex);
  copies.insert_or_assign(container->id, std::move(copy));
  return result;
}

std::unique_ptr<MemoryCopy> takeMemoryCopy(const std::string& container) {
  std::lock_guard lock(copiesMutex);
  auto node = copies.extract(container);
  return node.empty() ? nullptr : std::move(node.mapped());
}

}  // namespace drover
