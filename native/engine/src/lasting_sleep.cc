#include "lasting_sleep.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "file_io.h"
#include "process_text.h"

namespace drover {

namespace {

constexpr size_t statusBytes = 16 << 10;
/** Most sleeps are over by then. Pauses double from there, for what lasts is seldom over soon. */
constexpr std::chrono::milliseconds firstPause{1};

/** How often it was switched from, by itself or by others; none: it isn't in uninterruptible sleep. */
std::optional<int64_t> switchesOfSleeper(std::string_view status) {
  constexpr std::string_view key = "\nState:\tD";
  if (status.find(key) == std::string_view::npos) return std::nullopt;
  return numberAfter(status, "voluntary_ctxt_switches:") + numberAfter(status, "nonvoluntary_ctxt_switches:");
}

}  // namespace

void LastingSleeps::notice(pid_t pid, std::string_view status) {
  if (auto switches = switchesOfSleeper(status)) sleepers_.push_back({pid, *switches, Clock::now()});
}

std::vector<std::string> LastingSleeps::find() {
  std::vector<std::string> texts;
  if (sleepers_.empty()) return texts;
  const auto until = sleepers_.back().noticed + lastingSleep;
  for (auto pause = firstPause;; pause *= 2) {
    texts.clear();
    const bool last = Clock::now() >= until;
    std::erase_if(sleepers_, [&](const Sleeper& sleeper) {
      auto status = readFile("/proc/" + std::to_string(sleeper.pid) + "/status", statusBytes);
      const bool same = status.ok() && switchesOfSleeper(status.value()) == sleeper.switches;
      if (same) texts.push_back(std::move(status.value()));
      return !same;
    });
    if (last || sleepers_.empty()) return texts;
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, until - Clock::now()));
  }
}

}  // namespace drover
