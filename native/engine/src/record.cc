// Records on disk. See record.h.
#include "record.h"

#include "exchange_file.h"
#include "file_io.h"
#include "json_io.h"
#include "log.h"

namespace drover {

namespace {

constexpr std::pair<State, const char*> stateNames[] = {
    {State::created, "created"},         {State::running, "running"},   {State::frozen, "frozen"},
    {State::checkpointed, "checkpointed"}, {State::restored, "restored"}, {State::stopped, "stopped"},
};

}  // namespace

const char* stateName(State state) {
  for (const auto& [known, name] : stateNames)
    if (known == state) return name;
  return "stopped";
}

std::optional<State> parseState(const std::string& name) {
  for (const auto& [state, known] : stateNames)
    if (name == known) return state;
  return {};
}

std::string recordPath(const std::string& directory) { return directory + "/record.json"; }

Result<Record> loadRecord(const std::string& directory) {
  const std::string path = recordPath(directory);
  DROVER_TRY_ASSIGN(text, readFile(path));
  auto newest = parseRecord(text);
  if (newest.ok() || !hasKept(path)) return newest;
  DROVER_TRY_ASSIGN(kept, readFile(path + keptSuffix));
  DROVER_TRY_ASSIGN(before, parseRecord(kept));
  DROVER_TRY(restoreKept(path));
  logLine("warn", path + " was not on the disk when the power was cut (" + newest.error().message + "): the one before it counts");
  return before;
}

Result<Record> parseRecord(std::string_view text) {
  Json value = parseJson(text);
  DROVER_TRY_ASSIGN(specJson, objectField(value, "spec"));
  DROVER_TRY_ASSIGN(spec, parseSpec(specJson));
  DROVER_TRY_ASSIGN(stateText, stringField(value, "state"));
  DROVER_TRY_ASSIGN(initPid, integerField(value, "initPid", 0, INT32_MAX));
  DROVER_TRY_ASSIGN(startTime, integerField(value, "initStartTime", 0, INT64_MAX));
  DROVER_TRY_ASSIGN(boot, stringField(value, "bootId"));
  DROVER_TRY_ASSIGN(starts, integerField(value, "starts", 0, INT64_MAX));
  DROVER_TRY_ASSIGN(extra, objectField(value, "extra"));
  auto state = parseState(stateText);
  if (!state) return badRequest("field `state`: `" + stateText + "` is none that this engine knows");
  Record record;
  record.spec = spec;
  record.state = *state;
  record.initPid = static_cast<pid_t>(initPid);
  record.initStartTime = static_cast<uint64_t>(startTime);
  record.bootId = boot;
  record.starts = starts;
  record.extra = extra;
  if (present(value, "memoryRoomBytes")) {
    DROVER_TRY_ASSIGN(room, integerField(value, "memoryRoomBytes", 0, INT64_MAX / 4));
    record.memoryRoomBytes = room;
  }
  if (present(value, "fenced")) {
    DROVER_TRY_ASSIGN(fenced, booleanField(value, "fenced"));
    record.fenced = fenced;
  }
  if (present(value, "startedAtMs")) {
    DROVER_TRY_ASSIGN(startedAtMs, integerField(value, "startedAtMs", 0, INT64_MAX));
    record.startedAtMs = startedAtMs;
  }
  if (present(value, "exit")) {
    DROVER_TRY_ASSIGN(exit, objectField(value, "exit"));
    DROVER_TRY_ASSIGN(reason, stringField(exit, "reason"));
    DROVER_TRY_ASSIGN(status, integerField(exit, "status", 0, 255));
    record.exit = InitExit{reason, static_cast<int>(status)};
  }
  return record;
}

std::string recordToText(const Record& record) {
  return toText({
      {"spec", specToJson(record.spec)},
      {"state", stateName(record.state)},
      {"initPid", record.initPid},
      {"initStartTime", record.initStartTime},
      {"bootId", record.bootId},
      {"startedAtMs", record.startedAtMs ? Json(*record.startedAtMs) : Json(nullptr)},
      {"starts", record.starts},
      {"exit", record.exit ? Json({{"reason", record.exit->reason}, {"status", record.exit->status}}) : Json(nullptr)},
      {"memoryRoomBytes", record.memoryRoomBytes},
      {"fenced", record.fenced},
      {"extra", record.extra},
  });
}

Status saveNewRecord(const std::string& directory, const Record& record) {
  DROVER_TRY(replaceFile(recordPath(directory), recordToText(record), true));
  DROVER_TRY(syncDirectory(directory));
  return syncDirectory(directory.substr(0, directory.rfind('/')));
}

}  // namespace drover
