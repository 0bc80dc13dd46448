// What the dump and the restore of a container share: how CRIU is asked, the note in the record of what is under way, and the
// figures of the phases.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "container.h"
#include "criu_client.h"
#include "engine.h"
#include "error.h"

namespace drover {

/** Longest dump or restore; the slowest part is memory at about 1 GB/s. */
constexpr std::chrono::milliseconds criuDeadline{120'000};

Result<std::unique_ptr<CriuProcess>> spawnCriu(const Engine& engine, const std::string& code, CriuHints hints = {});
/** Waits before the dump of this container until it is stopped. */
Result<std::unique_ptr<CriuProcess>> spawnCriuForDump(const Engine& engine, const std::string& code, const Container& container);
/** A request with the options that both directions need. */
CriuRequest criuRequest(Engine& engine, CriuRequest::Kind kind, const Container& container, int directory);

/** Of one that has answered with success: its end, of no interest to the container any more, is waited for by nobody in a hurry. */
void endLater(Engine& engine, std::unique_ptr<CriuProcess> criu);
/** What a record says of a move: what is done, and which criu does it. */
nlohmann::json moveNote(const char* phase, const CriuProcess& criu);
/** Notes in the record what is under way and which criu does it, before it starts. */
Status beginMove(Engine& engine, Container& container, const char* phase, const CriuProcess& criu);
/** Removes the note, with `change` in the same write. */
Status endMove(Engine& engine, Container& container, const std::function<void(Record&)>& change);

/** Milliseconds since the last lap, with names, in the order they were taken. */
class Figures {
 public:
  void lap(const char* name);
  void set(const char* name, int64_t value) { values_[name] = value; }
  nlohmann::json json() const { return values_; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  nlohmann::json values_ = nlohmann::json::object();
};

int64_t realtimeNs();
nlohmann::json moveResult(Engine& engine, const Container& container, const nlohmann::json& figures);
Error wrongState(const Container& container, const char* doing, State is, const char* wanted);

}  // namespace drover
