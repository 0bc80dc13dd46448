#include "cgroup_tree.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "file_io.h"
#include "json_io.h"
#include "unique_fd.h"

namespace drover {
namespace {

constexpr const char* fileName = "cgroups.json";
constexpr size_t largestFile = 4 << 20;
/** A bound for what a container can make the engine write down; systemd has some dozens. */
constexpr size_t mostCgroups = 10'000;

/** Settings that a manager inside may have made. cgroup.freeze is not among them: CRIU must be able to run tasks in there. */
constexpr const char* settings[] = {"cgroup.max.descendants", "cgroup.max.depth", "cgroup.subtree_control", "cpu.weight",  "cpu.max",
                                    "memory.min",             "memory.low",       "memory.high",            "memory.max",  "memory.swap.max",
                                    "memory.oom.group",       "pids.max",         "io.weight"};
constexpr std::array<const char*, delegatedFiles> delegated = {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"};

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/** `cgroup.subtree_control` reads `cpu memory` and wants `+cpu +memory`. */
std::string enabling(const std::string& controllers) {
  std::string text;
  for (size_t start = 0; start < controllers.size();) {
    size_t end = std::min(controllers.find(' ', start), controllers.size());
    if (end > start) text += (text.empty() ? "+" : " +") + controllers.substr(start, end - start);
    start = end + 1;
  }
  return text;
}

Json describeCgroup(const std::string& path, const std::string& relative) {
  Json entry = {{"path", relative}, {"owners", Json::array()}, {"settings", Json::object()}};
  for (const char* file : delegated) {
    struct stat status = {};
    if (stat((path + file).c_str(), &status) == 0) entry["owners"].push_back({status.st_uid, status.st_gid});
    else entry["owners"].push_back(nullptr);
  }
  for (const char* name : settings) {
    auto value = readFile(path + "/" + name, 4096);
    if (value.ok() && !trimmed(value.value()).empty()) entry["settings"][name] = trimmed(value.value());
  }
  return entry;
}

bool staysInside(const std::filesystem::path& relative) {
  if (relative.empty() || relative.is_absolute()) return false;
  for (const auto& part : relative)
    if (part == ".." || part == "." || part.empty()) return false;
  return true;
}

/** What the kernel refuses of a setting is left out: hosts may differ in controllers, and none of these decides correctness. */
void applyEntry(const std::string& path, const SavedCgroup& saved) {
  for (const auto& [name, wanted] : saved.settings) {
    auto now = readFile(path + "/" + name, 4096);
    if (!now.ok() || trimmed(now.value()) == wanted) continue;
    (void)writeKernelFile(path + "/" + name, name == "cgroup.subtree_control" ? enabling(wanted) : wanted).ok();
  }
  for (size_t i = 0; i < std::size(delegated); i++)
    if (saved.owners[i] && chown((path + delegated[i]).c_str(), saved.owners[i]->uid, saved.owners[i]->gid) != 0) continue;
}

/** An id, or none: -1 would mean to leave the owner as it is. */
std::optional<uint32_t> idIn(const Json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= UINT32_MAX) return {};
  return value.get<uint32_t>();
}

}  // namespace

Status saveCgroupTree(const std::string& cgroup, int directory) {
  namespace fs = std::filesystem;
  Json tree = Json::array();
  std::error_code error;
  for (fs::recursive_directory_iterator at(cgroup, error), end; !error && at != end; at.increment(error)) {
    if (!at->is_directory(error) || error) continue;
    if (tree.size() >= mostCgroups) return engineError("more than " + std::to_string(mostCgroups) + " cgroups below " + cgroup);
    // Parents come before their children: the order in which they can be made again.
    tree.push_back(describeCgroup(at->path(), at->path().lexically_relative(cgroup)));
  }
  if (error) return engineError("read the cgroups below " + cgroup + ": " + error.message());
  std::string text = toText(tree);
  UniqueFd file(openat(directory, fileName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return errnoError(std::string("write ") + fileName);
  return {};
}

Status restoreCgroupTree(const std::string& cgroup, int directory) {
  UniqueFd file(openat(directory, fileName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return errno == ENOENT ? Status() : errnoError(std::string("open ") + fileName);
  DROVER_TRY_ASSIGN(text, readFile("/proc/self/fd/" + std::to_string(file.get()), largestFile));
  DROVER_TRY_ASSIGN(tree, parseCgroupTree(text));
  for (const auto& saved : tree) {
    std::string path = cgroup + "/" + saved.path;
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return errnoError("make cgroup " + path);
    applyEntry(path, saved);
  }
  return {};
}

Result<std::vector<SavedCgroup>> parseCgroupTree(std::string_view text) {
  Json tree = parseJson(text);
  if (!tree.is_array() || tree.size() > mostCgroups) return engineError(std::string(fileName) + " is damaged");
  std::vector<SavedCgroup> cgroups;
  for (const Json& entry : tree) {
    SavedCgroup saved;
    DROVER_TRY_ASSIGN(path, stringField(entry, "path"));
    if (!staysInside(path)) return engineError(std::string(fileName) + " names " + path + ", which is outside of the container's cgroup");
    saved.path = path;
    if (auto found = entry.find("settings"); found != entry.end() && found->is_object())
      for (const char* name : settings)
        if (auto value = found->find(name); value != found->end() && value->is_string()) saved.settings.emplace_back(name, value->get<std::string>());
    if (auto found = entry.find("owners"); found != entry.end() && found->is_array())
      for (size_t i = 0; i < saved.owners.size() && i < found->size(); i++) {
        const Json& owner = (*found)[i];
        if (!owner.is_array() || owner.size() != 2) continue;
        auto uid = idIn(owner[0]), gid = idIn(owner[1]);
        if (uid && gid) saved.owners[i] = CgroupOwner{*uid, *gid};
      }
    cgroups.push_back(std::move(saved));
  }
  return cgroups;
}

}  // namespace drover
