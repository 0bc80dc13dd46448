// See inside_root.h; credentials(7): file system ids, capabilities(7): their effect on capabilities.
#include "inside_root.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "idmap.h"
#include "mounts.h"
#include "pidfd.h"

namespace drover {

Result<UniqueFd> openInsideRoot(const Container& container) {
  const Record record = container.snapshot();
  if (record.state == State::checkpointed || record.state == State::restored)
    return Error{"BUSY", "open the files of " + container.id + ": it is being moved"};
  std::shared_ptr<UniqueFd> init;
  {
    std::lock_guard lock(container.mutex);
    init = container.initPidfd;
  }
  if (init && record.initPid != 0) {
    UniqueFd root(open(("/proc/" + std::to_string(record.initPid) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    // Its init still lives: so the number was its own a moment ago.
    if (root.valid() && !waitPidfd(init->get(), 0)) return root;
    return Error{"WRONG_STATE", "open the files of " + container.id + ": its init has just ended"};
  }
  DROVER_TRY_ASSIGN(userNamespace, makeUserNamespace(record.spec.owner()));
  DROVER_TRY_ASSIGN(rootfs, openRootfs(container, userNamespace.get()));
  return std::move(rootfs.root);
}

ActingAs::ActingAs(uid_t uid, gid_t gid) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  syscall(SYS_capget, &header, data);
  syscall(SYS_setfsgid, gid);
  // Takes the file capabilities out of the effective set: they are put back. All three calls concern this thread only.
  syscall(SYS_setfsuid, uid);
  syscall(SYS_capset, &header, data);
}

ActingAs::~ActingAs() {
  syscall(SYS_setfsuid, 0);
  syscall(SYS_setfsgid, 0);
}

}  // namespace drover
