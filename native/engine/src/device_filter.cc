// See device_filter.h.
#include "device_filter.h"

#include <fcntl.h>

#include <map>
#include <memory>
#include <mutex>

#include "bpf.h"
#include "device_rule.h"

namespace drover {

namespace {

constexpr int accessShift = 16;
constexpr uint32_t kindMask = 0xffff;
constexpr uint32_t everyAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

/** Registers: 2 kind, 3 access, 4 major, 5 minor. */
BpfProgram programFor(const std::vector<DeviceRule>& rules) {
  BpfProgram program;
  program.load(BPF_REG_2, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, access_type));
  program.copy(BPF_REG_3, BPF_REG_2);
  program.add(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, kindMask);
  program.add(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, accessShift);
  program.load(BPF_REG_4, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, major));
  program.load(BPF_REG_5, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, minor));
  int next = 0;
  for (const auto& rule : rules) {
    program.jumpIf(BPF_JNE, BPF_REG_2, rule.block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, next);
    program.jumpIf(BPF_JSET, BPF_REG_3, everyAccess & ~rule.access, next);
    program.jumpIf(BPF_JNE, BPF_REG_4, rule.major, next);
    if (rule.minor) program.jumpIf(BPF_JNE, BPF_REG_5, *rule.minor, next);
    program.leave(1);
    program.label(next++);
  }
  program.leave(0);
  return program;
}

/** The program that an engine has put there before; invalid: none. */
UniqueFd present(int cgroup) {
  uint32_t ids[4] = {};
  bpf_attr query = {};
  query.query.target_fd = static_cast<uint32_t>(cgroup);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uint64_t>(ids);
  query.query.prog_cnt = std::size(ids);
  if (bpf(BPF_PROG_QUERY, query) != 0 || query.query.prog_cnt == 0) return UniqueFd();
  bpf_attr get = {};
  get.prog_id = ids[0];
  return UniqueFd(bpf(BPF_PROG_GET_FD_BY_ID, get));
}

using SharedProgram = std::shared_ptr<const UniqueFd>;

/**
 * Most containers have the same rules, and one program serves them all: each takes 5 kB of the kernel's memory. Those that nobody is
 * likely to ask for again are only their container's.
 */
constexpr size_t mostKept = 8;

Result<SharedProgram> programOf(const std::vector<std::string>& rules) {
  static std::mutex mutex;
  static std::map<std::vector<std::string>, SharedProgram> kept;
  std::lock_guard lock(mutex);
  if (auto known = kept.find(rules); known != kept.end()) return known->second;
  std::vector<DeviceRule> parsed;
  for (const auto& text : rules) {
    auto rule = parseDeviceRule(text);
    if (!rule) return engineError("the rule `" + text + "` for devices is none");
    parsed.push_back(*rule);
  }
  DROVER_TRY_ASSIGN(loaded, programFor(parsed).loadAs(BPF_PROG_TYPE_CGROUP_DEVICE, "drover_devices"));
  auto program = std::make_shared<const UniqueFd>(std::move(loaded));
  if (kept.size() < mostKept) kept.emplace(rules, program);
  return program;
}

}  // namespace

Status filterDevices(const std::string& cgroup, const std::vector<std::string>& rules) {
  DROVER_TRY_ASSIGN(program, programOf(rules));
  UniqueFd directory(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return errnoError("open " + cgroup);
  UniqueFd before = present(directory.get());
  bpf_attr attributes = {};
  attributes.target_fd = static_cast<uint32_t>(directory.get());
  attributes.attach_bpf_fd = static_cast<uint32_t>(program->get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI | (before.valid() ? BPF_F_REPLACE : 0);
  if (before.valid()) attributes.replace_bpf_fd = static_cast<uint32_t>(before.get());
  return bpf(BPF_PROG_ATTACH, attributes) == 0 ? Status() : errnoError("set the devices of " + cgroup);
}

bool mayFilterDevices(const std::vector<std::string>& rules) { return programOf(rules).ok(); }

}  // namespace drover
