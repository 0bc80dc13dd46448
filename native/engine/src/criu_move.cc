#include "criu_move.h"

#include <filesystem>
#include <limits>
#include <time.h>

#include "checkpoint.h"
#include "pidfd.h"
#include "view_mounts.h"

namespace drover {
namespace {

/**
 * The directory that has every hierarchy mounted under CRIU's name for it (`unified`, `memory`, …): the usual hybrid layout.
 * Empty otherwise; CRIU then makes its own mounts (6–24 ms with ten v1 hierarchies, about none on pure v2).
 */
std::string cgroupYard(const Cgroups& cgroups) {
  std::string yard;
  for (const Hierarchy& hierarchy : cgroups.hierarchies()) {
    std::filesystem::path mount(hierarchy.mountPoint);
    bool named = hierarchy.unified ? mount.filename() == "unified"
                                   : hierarchy.controllers.size() == 1 && mount.filename() == *hierarchy.controllers.begin();
    if (!named || (!yard.empty() && yard != mount.parent_path())) return "";
    yard = mount.parent_path();
  }
  return yard;
}

}  // namespace

Result<std::unique_ptr<CriuProcess>> spawnCriu(const Engine& engine, const std::string& code, CriuHints hints) {
  if (!engine.config().criu) return Error{code, "this host has no usable CRIU: " + engine.config().criuReason};
  std::string error;
  hints.ofMove = true;
  auto criu = CriuProcess::spawn(*engine.config().criu, error, hints);
  if (!criu) return Error{code, error};
  return criu;
}

Result<std::unique_ptr<CriuProcess>> spawnCriuForDump(const Engine& engine, const std::string& code, const Container& container) {
  const Spec spec = container.snapshot().spec;
  CriuHints hints = {.gated = true, .ownCgroup = engine.cgroups().path(container.id), .firstOwner = spec.owner(), .owners = uidRange};
  // Whoever sits in the host's user namespace has all of its owners.
  if (spec.security.privileged) hints.owners = std::numeric_limits<uint32_t>::max();
  return spawnCriu(engine, code, hints);
}

CriuRequest criuRequest(Engine& engine, CriuRequest::Kind kind, const Container& container, int directory) {
  CriuRequest request;
  request.kind = kind;
  request.directory = directory;
  request.root = container.rootfs();
  request.manageCgroups = true;
  request.leaves = true;
  request.cgroupYard = cgroupYard(engine.cgroups());
  request.external = kind == CriuRequest::Kind::dump ? viewMountsForDump() : viewMountsForRestore(engine.view().root());
  return request;
}

void endLater(Engine& engine, std::unique_ptr<CriuProcess> criu) {
  engine.later([ending = std::shared_ptr<CriuProcess>(std::move(criu))] { ending->end(); });
}

nlohmann::json moveNote(const char* phase, const CriuProcess& criu) {
  return {{"phase", phase}, {"criuPid", criu.pid()}, {"criuStartTime", processStartTime(criu.pid())}};
}

Status beginMove(Engine& engine, Container& container, const char* phase, const CriuProcess& criu) {
  return engine.update(container, [&](Record& record) {
    record.extra["move"] = moveNote(phase, criu);
  });
}

Status endMove(Engine& engine, Container& container, const std::function<void(Record&)>& change) {
  return engine.update(container, [&](Record& record) {
    record.extra.erase("move");
    change(record);
  });
}

void Figures::lap(const char* name) {
  auto now = std::chrono::steady_clock::now();
  values_[name] = std::chrono::duration<double, std::milli>(now - last_).count();
  last_ = now;
}

int64_t realtimeNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

nlohmann::json moveResult(Engine& engine, const Container& container, const nlohmann::json& figures) {
  return {{"figures", figures}, {"container", engine.describe(container)}};
}

Error wrongState(const Container& container, const char* doing, State is, const char* wanted) {
  return {"WRONG_STATE", std::string(doing) + " " + container.id + ": it is " + stateName(is) + ", must be " + wanted};
}

nlohmann::json criuInfo(const Config& config) {
  nlohmann::json info = {{"usable", config.criu.has_value()}, {"path", nullptr}, {"version", nullptr}, {"reason", config.criuReason}};
  if (!config.criu) return info;
  info["path"] = *config.criu;
  // Asked once: the binary does not change under a running engine.
  static const std::string version = [&] {
    std::string error;
    auto criu = CriuProcess::spawn(*config.criu, error);
    return criu ? criuVersionText(criu->run({.kind = CriuRequest::Kind::version}, std::chrono::seconds(5), nullptr)) : "";
  }();
  if (!version.empty()) info["version"] = version;
  return info;
}

void warmCriu(const Config& config) {
  std::string error;
  if (!config.criu) return;
  if (auto criu = CriuProcess::spawn(*config.criu, error))
    criu->run({.kind = CriuRequest::Kind::warm}, std::chrono::seconds(15), nullptr);
}

}  // namespace drover
