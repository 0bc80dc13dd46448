// See sysctl_watch.h, bpf(2).
#include "sysctl_watch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "bpf.h"

namespace drover {
namespace {

constexpr const char* programName = "drover_sysctl";
constexpr uint32_t mostContainers = 65536;
/** From the root of the hierarchy on. */
constexpr int mostLevels = 16;
/** Where it is noted that there was no room for one more: then any may have written. No cgroup has this number. */
constexpr uint64_t noRoom = 0;
constexpr int16_t keyAt = -8, valueAt = -16;

/** The number by which the kernel knows a cgroup; 0: there is none. */
uint64_t numberOf(const std::string& cgroup) {
  struct stat status {};
  return stat(cgroup.c_str(), &status) == 0 ? status.st_ino : 0;
}

void update(BpfProgram& program, int map) {
  program.loadMap(BPF_REG_1, map);
  program.copy(BPF_REG_2, BPF_REG_10);
  program.add(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, keyAt);
  program.copy(BPF_REG_3, BPF_REG_10);
  program.add(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, valueAt);
  program.set(BPF_REG_4, BPF_ANY);
  program.call(BPF_FUNC_map_update_elem);
}

/** Registers: 6 the cgroup above the containers, 7 the one of the level before. Lets everything through. */
BpfProgram programFor(uint64_t parent, int map) {
  enum { found, end };
  BpfProgram program;
  program.load(BPF_REG_0, BPF_REG_1, offsetof(bpf_sysctl, write));
  program.jumpIf(BPF_JEQ, BPF_REG_0, 0, end);
  program.loadNumber(BPF_REG_6, parent);
  program.set(BPF_REG_7, 0);
  for (int level = 0; level < mostLevels; level++) {
    program.set(BPF_REG_1, level);
    program.call(BPF_FUNC_get_current_ancestor_cgroup_id);
    program.jumpIfNull(BPF_REG_0, end);
    program.jumpIfSame(BPF_REG_7, BPF_REG_6, found);
    program.copy(BPF_REG_7, BPF_REG_0);
  }
  program.jump(end);
  program.label(found);
  program.add(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_0, keyAt, 0);
  program.add(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, valueAt, 1);
  update(program, map);
  program.jumpIfNull(BPF_REG_0, end);
  program.add(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, keyAt, noRoom);
  update(program, map);
  program.label(end);
  program.leave(1);
  return program;
}

Result<UniqueFd> makeMap() {
  bpf_attr attributes = {};
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = attributes.value_size = sizeof(uint64_t);
  attributes.max_entries = mostContainers;
  attributes.map_flags = BPF_F_NO_PREALLOC;
  strncpy(attributes.map_name, programName, sizeof attributes.map_name - 1);
  UniqueFd map(bpf(BPF_MAP_CREATE, attributes));
  if (!map.valid()) return errnoError("make the map of written sysctls");
  return map;
}

bool change(int map, uint64_t key, uint64_t value) {
  bpf_attr attributes = {};
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = reinterpret_cast<uint64_t>(&key);
  attributes.value = reinterpret_cast<uint64_t>(&value);
  return bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0;
}

uint64_t valueOf(int map, uint64_t key) {
  uint64_t value = 0;
  bpf_attr attributes = {};
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = reinterpret_cast<uint64_t>(&key);
  attributes.value = reinterpret_cast<uint64_t>(&value);
  return bpf(BPF_MAP_LOOKUP_ELEM, attributes) == 0 ? value : 0;
}

/** The map of a program of ours; invalid: it is somebody else's. */
UniqueFd mapOf(uint32_t programId) {
  bpf_attr get = {};
  get.prog_id = programId;
  UniqueFd program(bpf(BPF_PROG_GET_FD_BY_ID, get));
  uint32_t maps[1] = {};
  bpf_prog_info info = {};
  info.nr_map_ids = std::size(maps);
  info.map_ids = reinterpret_cast<uint64_t>(maps);
  bpf_attr ask = {};
  ask.info.bpf_fd = static_cast<uint32_t>(program.get());
  ask.info.info_len = sizeof info;
  ask.info.info = reinterpret_cast<uint64_t>(&info);
  if (!program.valid() || bpf(BPF_OBJ_GET_INFO_BY_FD, ask) != 0 || strcmp(info.name, programName) != 0 || info.nr_map_ids != 1) return UniqueFd();
  bpf_attr map = {};
  map.map_id = maps[0];
  return UniqueFd(bpf(BPF_MAP_GET_FD_BY_ID, map));
}

/** Of the program that an engine has put there before; invalid: there is none. */
UniqueFd mapThere(int cgroup) {
  uint32_t ids[16] = {};
  bpf_attr query = {};
  query.query.target_fd = static_cast<uint32_t>(cgroup);
  query.query.attach_type = BPF_CGROUP_SYSCTL;
  query.query.prog_ids = reinterpret_cast<uint64_t>(ids);
  query.query.prog_cnt = std::size(ids);
  if (bpf(BPF_PROG_QUERY, query) != 0) return UniqueFd();
  for (uint32_t at = 0; at < query.query.prog_cnt && at < std::size(ids); at++)
    if (UniqueFd map = mapOf(ids[at]); map.valid()) return map;
  return UniqueFd();
}

}  // namespace

Result<SysctlWatch> SysctlWatch::begin(const std::string& parent) {
  UniqueFd directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return errnoError("open " + parent);
  SysctlWatch watch;
  watch.map_ = mapThere(directory.get());
  if (watch.map_.valid()) return watch;
  DROVER_TRY_ASSIGN(map, makeMap());
  watch.map_ = std::move(map);
  change(watch.map_.get(), noRoom, 0);
  DROVER_TRY_ASSIGN(program, programFor(numberOf(parent), watch.map_.get()).loadAs(BPF_PROG_TYPE_CGROUP_SYSCTL, programName));
  bpf_attr attach = {};
  attach.target_fd = static_cast<uint32_t>(directory.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_SYSCTL;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attach) != 0) return errnoError("watch the sysctls of containers");
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator(parent, error))
    if (each.is_directory(error)) watch.note(each.path());
  return watch;
}

bool SysctlWatch::mayHaveWritten(const std::string& cgroup) const {
  const uint64_t number = numberOf(cgroup);
  return number == 0 || valueOf(map_.get(), number) != 0 || valueOf(map_.get(), noRoom) != 0;
}

void SysctlWatch::note(const std::string& cgroup) const {
  if (!change(map_.get(), numberOf(cgroup), 1)) change(map_.get(), noRoom, 1);
}

void SysctlWatch::forget(const std::string& cgroup) const {
  uint64_t number = numberOf(cgroup);
  bpf_attr attributes = {};
  attributes.map_fd = static_cast<uint32_t>(map_.get());
  attributes.key = reinterpret_cast<uint64_t>(&number);
  if (number != noRoom) (void)bpf(BPF_MAP_DELETE_ELEM, attributes);
}

}  // namespace drover
