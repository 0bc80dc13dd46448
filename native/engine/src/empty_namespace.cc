// See empty_namespace.h; mount_namespaces(7), pivot_root(2), fsopen(2).
#include "empty_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "child_setup.h"

namespace drover {

namespace {

/** Of the file system that takes the place of the host's; a name only makes it known in a list of mounts. */
constexpr const char* name = "drover-empty";

/** In the child, which has a copy of the host's mounts. 0 or an errno. */
int becomeEmpty() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  // Anything that is there for certain serves: it is covered, and then gone.
  if (mount(name, "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k") != 0) return errno;
  if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return errno;
  if (mkdir(hostDirectory, 0755) != 0) return errno;
  for (const char* path : hostMounts)
    if (mkdir(path, 0755) != 0) return errno;
  return mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 ? 0 : errno;
}

}  // namespace

Result<UniqueFd> makeEmptyNamespace() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errnoError("make a socket");
  UniqueFd ours(pair[0]), theirs(pair[1]);
  ForkResult child = forkInto(CLONE_NEWNS, -1);
  if (child.pid == 0) {
    umask(0);
    int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (own < 0) _exit(errno);
    if (int number = becomeEmpty(); number != 0) _exit(number);
    _exit(sendDescriptor(theirs.get(), own));
  }
  if (child.pid < 0) return errnoError("make the namespace that inits begin in", -child.pid);
  close(child.pidfd);
  theirs.reset();
  UniqueFd made(receiveDescriptor(ours.get()));
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (made.valid()) return made;
  return errnoError("make the namespace that inits begin in", WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EIO);
}

}  // namespace drover
