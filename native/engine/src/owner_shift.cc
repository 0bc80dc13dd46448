// See owner_shift.h; linux/posix_acl_xattr.h and linux/capability.h for the attributes' formats, both little-endian.
#include "owner_shift.h"

#include <endian.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <vector>

#include "spec.h"

namespace drover {
namespace {

constexpr int maximumOpenDirectories = 32;
constexpr const char* capabilityName = "security.capability";
constexpr const char* aclNames[] = {"system.posix_acl_access", "system.posix_acl_default"};
/** ACL_USER and ACL_GROUP of posix_acl.h: the entries that name an id. */
constexpr uint16_t aclUser = 0x02, aclGroup = 0x08;

/** nftw takes no argument: the ranges of the walk of this thread. */
thread_local uint32_t rangeFrom, rangeTo;

uint32_t shifted(uint32_t id) { return id >= rangeFrom && id - rangeFrom < uidRange ? id - rangeFrom + rangeTo : id; }

/** Empty when there is none. */
std::vector<char> attribute(const char* path, const char* name) {
  std::vector<char> value(4096);
  ssize_t size = lgetxattr(path, name, value.data(), value.size());
  value.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return value;
}

int shiftAcl(const char* path, const char* name) {
  std::vector<char> value = attribute(path, name);
  if (value.size() < sizeof(posix_acl_xattr_header)) return 0;
  bool changed = false;
  auto* entries = reinterpret_cast<posix_acl_xattr_entry*>(value.data() + sizeof(posix_acl_xattr_header));
  size_t count = (value.size() - sizeof(posix_acl_xattr_header)) / sizeof(posix_acl_xattr_entry);
  for (size_t index = 0; index < count; ++index) {
    uint16_t tag = le16toh(entries[index].e_tag);
    if (tag != aclUser && tag != aclGroup) continue;
    uint32_t id = le32toh(entries[index].e_id);
    entries[index].e_id = htole32(shifted(id));
    changed = changed || shifted(id) != id;
  }
  return changed ? lsetxattr(path, name, value.data(), value.size(), 0) : 0;
}

/** A file capability counts in the user namespace of its root id only. */
void shiftCapability(std::vector<char>& value) {
  if (value.size() != sizeof(vfs_ns_cap_data)) return;
  auto* capability = reinterpret_cast<vfs_ns_cap_data*>(value.data());
  capability->rootid = htole32(shifted(le32toh(capability->rootid)));
}

int shiftOne(const char* path, const struct stat* status, int, FTW*) {
  bool regular = S_ISREG(status->st_mode), link = S_ISLNK(status->st_mode);
  // A change of owner takes capabilities and set-id bits away: they are put back after it.
  std::vector<char> capability = regular ? attribute(path, capabilityName) : std::vector<char>();
  uid_t uid = shifted(status->st_uid);
  gid_t gid = shifted(status->st_gid);
  if ((uid != status->st_uid || gid != status->st_gid) && lchown(path, uid, gid) != 0) return -1;
  if (!link && (status->st_mode & (S_ISUID | S_ISGID)) && chmod(path, status->st_mode & 07777) != 0) return -1;
  if (!capability.empty()) {
    shiftCapability(capability);
    if (lsetxattr(path, capabilityName, capability.data(), capability.size(), 0) != 0) return -1;
  }
  if (link) return 0;
  for (const char* name : aclNames)
    if (shiftAcl(path, name) != 0) return -1;
  return 0;
}

}  // namespace

Status shiftOwners(const std::string& tree, uint32_t from, uint32_t to) {
  if (from == to) return {};
  rangeFrom = from;
  rangeTo = to;
  errno = 0;
  if (nftw(tree.c_str(), shiftOne, maximumOpenDirectories, FTW_PHYS | FTW_MOUNT) == 0) return {};
  return errnoError("give " + tree + " from uids of " + std::to_string(from) + " to those of " + std::to_string(to));
}

}  // namespace drover
