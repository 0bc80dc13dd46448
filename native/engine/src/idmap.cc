// Id maps and user namespaces. See idmap.h.
#include "idmap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "file_io.h"

namespace drover {

Status writeIdMaps(pid_t pid, uint32_t uidBase) {
  std::string map = "0 " + std::to_string(uidBase) + " " + std::to_string(uidRange);
  std::string process = "/proc/" + std::to_string(pid);
  DROVER_TRY(writeKernelFile(process + "/uid_map", map));
  return writeKernelFile(process + "/gid_map", map);
}

Result<UniqueFd> openUserNamespace(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/ns/user";
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errnoError("open " + path);
  return fd;
}

Result<UniqueFd> makeUserNamespace(uint32_t uidBase) {
  clone_args arguments = {};
  arguments.flags = CLONE_NEWUSER;
  arguments.exit_signal = SIGCHLD;
  pid_t child = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child < 0) return errnoError("make a user namespace");
  if (child == 0) {
    // Only holds the namespace until the parent has opened it.
    for (;;) pause();
  }
  Status status = writeIdMaps(child, uidBase);
  Result<UniqueFd> opened = status.ok() ? openUserNamespace(child) : Result<UniqueFd>(status.error());
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return opened;
}

Result<UniqueFd> ownersOf(const Spec& spec, pid_t pid) { return spec.security.privileged ? makeUserNamespace(0) : openUserNamespace(pid); }

}  // namespace drover
