// The default filter: everything is allowed but what reaches past the namespaces or what can't be moved live. See
// seccomp_profile.h. A deny list in the style of LXC's: a system container runs whole distributions.
#include "seccomp_profile.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "unique_fd.h"

namespace drover {

namespace {

/** Refused with EPERM: the host's kernel, hardware, clock, and files by handle (which reach past the mount namespace). */
constexpr const char* forbidden[] = {
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "open_by_handle_at", "iopl",     "ioperm",
    "swapon",     "swapoff",         "acct",        "quotactl",     "quotactl_fd",   "nfsservctl",        "vm86",     "vm86old",
    "clock_settime", "clock_settime64", "settimeofday", "stime", "lookup_dcookie", "_sysctl", "uselib", "create_module", "query_module",
    "get_kernel_syms",
    // The kernel would refuse it to them as well, but for sysctl kernel.unprivileged_bpf_disabled=0.
    "bpf",
};

/** Answered with ENOSYS, so that programs fall back: CRIU can't dump io_uring, and userfaultfd only serves exploits here. */
constexpr const char* absent[] = {"io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"};

Error failed(const char* what, int result) { return errnoError(std::string("seccomp profile: ") + what, -result); }

}  // namespace

Status checkSyscalls(const Security& security) {
  for (const auto& [field, list] : {std::pair{"denySyscalls", &security.deniedSyscalls}, {"allowSyscalls", &security.allowedSyscalls}})
    for (const auto& name : *list)
      if (seccomp_syscall_resolve_name(name.c_str()) == __NR_SCMP_ERROR) return Error{"BAD_REQUEST", std::string("field `") + field + "`: `" + name + "` is no system call that this host knows"};
  return {};
}

Result<const SeccompProgram*> seccompOf(const Security& security, const SeccompProgram& usual, SeccompProgram& own) {
  if (security.deniedSyscalls.empty() && security.allowedSyscalls.empty()) return &usual;
  DROVER_TRY_ASSIGN(built, buildSeccompProfile(security));
  own = std::move(built);
  return static_cast<const SeccompProgram*>(&own);
}

Result<SeccompProgram> buildSeccompProfile(const Security& security) {
  std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (!filter) return engineError("seccomp profile: out of memory");
  scmp_filter_ctx context = filter.get();
  seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
#if defined(__x86_64__)
  for (uint32_t architecture : {SCMP_ARCH_X86, SCMP_ARCH_X32})
    if (int result = seccomp_arch_add(context, architecture); result != 0 && result != -EEXIST) return failed("add architecture", result);
#elif defined(__aarch64__)
  if (int result = seccomp_arch_add(context, SCMP_ARCH_ARM); result != 0 && result != -EEXIST) return failed("add architecture", result);
#endif
  std::set<std::string_view> decided(security.allowedSyscalls.begin(), security.allowedSyscalls.end());
  auto deny = [&](const char* name, int number) {
    // One word for each call: the first one holds.
    if (!decided.insert(name).second) return 0;
    int call = seccomp_syscall_resolve_name(name);
    // What libseccomp or this architecture doesn't know can't be named in a filter.
    if (call == __NR_SCMP_ERROR) return 0;
    int result = seccomp_rule_add(context, SCMP_ACT_ERRNO(static_cast<uint32_t>(number)), call, 0);
    return result == -EDOM ? 0 : result;
  };
  // As LXD answers them, and as a kernel without the call would: programs fall back.
  for (const auto& name : security.deniedSyscalls)
    if (int result = deny(name.c_str(), ENOSYS); result != 0) return failed(name.c_str(), result);
  for (const char* name : forbidden)
    if (int result = deny(name, EPERM); result != 0) return failed(name, result);
  for (const char* name : absent)
    if (int result = deny(name, ENOSYS); result != 0) return failed(name, result);

  // As LXC's reject_force_umount; and keys pushed into a terminal, which is how a program gets out of one that it was lent.
  struct Conditional {
    const char* name;
    scmp_arg_cmp argument;
    uint32_t number;
  };
  const Conditional conditional[] = {
      {"umount2", SCMP_A1(SCMP_CMP_MASKED_EQ, MNT_FORCE, MNT_FORCE), EACCES},
      {"ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI), EPERM},
      {"ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCLINUX), EPERM},
  };
  for (const auto& [name, argument, number] : conditional) {
    if (decided.contains(name)) continue;
    int call = seccomp_syscall_resolve_name(name);
    int result = call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(context, SCMP_ACT_ERRNO(number), call, 1, &argument);
    if (result != 0 && result != -EDOM) return failed(name, result);
  }

  UniqueFd file(memfd_create("drover-seccomp", MFD_CLOEXEC));
  if (!file.valid()) return errnoError("seccomp profile: memfd");
  if (int result = seccomp_export_bpf(context, file.get()); result != 0) return failed("export", result);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return errnoError("seccomp profile: stat");
  SeccompProgram program;
  program.instructions.resize(static_cast<size_t>(info.st_size) / sizeof(sock_filter));
  size_t bytes = program.instructions.size() * sizeof(sock_filter);
  if (pread(file.get(), program.instructions.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return errnoError("seccomp profile: read");
  return program;
}

int installSeccomp(std::span<const sock_filter> program) {
  if (program.empty()) return 0;
  sock_fprog filter = {};
  filter.len = static_cast<unsigned short>(program.size());
  filter.filter = const_cast<sock_filter*>(program.data());
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return errno;
  return 0;
}

}  // namespace drover
