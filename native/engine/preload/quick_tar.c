// See quick_tar.h. Starting tar takes 1–2 ms, for each tmpfs on both sides of a move, and most hold next to nothing. Here the same archives
// (POSIX ustar) are written and read by the process that was about to become tar. Anything that is not a plain tree of directories, files,
// symbolic links, fifos and devices without numbers is left to tar: hard links, holes, other devices, long names, large numbers. (systemd has a
// device 0:0 in /run, which anybody may make since Linux 5.8: it can't be opened.) Sockets are left out, as tar does; CRIU makes them itself. The tree is looked through before the first byte is written, so that tar can still take over.

#define _GNU_SOURCE
#include "quick_tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { blockBytes = 512, longestName = 99, deepest = 32, failed = 2 };

struct header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2], names[64], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == blockBytes, "a header is one block");
/** POSIX, ustar: typeflag. */
enum { isFile = '0', isLink = '2', isDevice = '3', isDirectory = '5', isFifo = '6' };

static const char* directoryIn(char* const arguments[], int* create, int* extract) {
  const char* directory = NULL;
  for (size_t i = 0; arguments[i]; i++) {
    if (strcmp(arguments[i], "--create") == 0) *create = 1;
    if (strcmp(arguments[i], "--extract") == 0) *extract = 1;
    if (strcmp(arguments[i], "--directory") == 0) directory = arguments[i + 1];
  }
  return directory;
}

static unsigned checksumOf(const struct header* header) {
  unsigned sum = 0;
  const unsigned char* bytes = (const unsigned char*)header;
  for (size_t i = 0; i < blockBytes; i++) {
    const size_t at = offsetof(struct header, checksum);
    sum += i >= at && i < at + sizeof header->checksum ? ' ' : bytes[i];
  }
  return sum;
}

// Writing.

/** Where an archive is written to, and which owner counts as 0 in it, of how many. */
static int output = STDOUT_FILENO;
static unsigned firstOwner, owners = UINT_MAX;

static int writeAll(const void* data, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t count = write(output, (const char*)data + done, length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    done += (size_t)count;
  }
  return 0;
}

static int fits(const struct stat* info, dev_t device, size_t nameLength) {
  const unsigned largestId = owners - 1 < 07777777 ? owners - 1 : 07777777;
  // Below the first one: more than any, as unsigned numbers.
  if (info->st_dev != device || nameLength > longestName || info->st_uid - firstOwner > largestId || info->st_gid - firstOwner > largestId || info->st_mtime < 0) return 0;
  if (S_ISREG(info->st_mode)) return info->st_nlink == 1 && info->st_size < (1LL << 32) && info->st_blocks * 512 >= info->st_size;
  if (S_ISCHR(info->st_mode)) return info->st_rdev == 0;
  return S_ISDIR(info->st_mode) || S_ISSOCK(info->st_mode) || S_ISFIFO(info->st_mode) || S_ISLNK(info->st_mode);
}

static char typeOf(mode_t mode) {
  if (S_ISREG(mode)) return isFile;
  if (S_ISLNK(mode)) return isLink;
  if (S_ISCHR(mode)) return isDevice;
  return S_ISDIR(mode) ? isDirectory : isFifo;
}

static int writeEntry(int directory, const char* base, const char* name, const struct stat* info) {
  struct header header;
  memset(&header, 0, sizeof header);
  memcpy(header.name, name, strlen(name));
  const int regular = S_ISREG(info->st_mode);
  snprintf(header.mode, sizeof header.mode, "%07o", info->st_mode & 07777u);
  snprintf(header.uid, sizeof header.uid, "%07o", info->st_uid - firstOwner);
  snprintf(header.gid, sizeof header.gid, "%07o", info->st_gid - firstOwner);
  snprintf(header.size, sizeof header.size, "%011llo", regular ? (unsigned long long)info->st_size : 0ULL);
  snprintf(header.mtime, sizeof header.mtime, "%011llo", (unsigned long long)info->st_mtime);
  header.type = typeOf(info->st_mode);
  if (header.type == isDevice) {
    strcpy(header.major, "0000000");
    strcpy(header.minor, "0000000");
  }
  if (S_ISLNK(info->st_mode) && readlinkat(directory, base, header.link, sizeof header.link) != info->st_size) return -1;
  memcpy(header.magic, "ustar", 6);
  memcpy(header.version, "00", 2);
  snprintf(header.checksum, sizeof header.checksum, "%06o", checksumOf(&header));
  if (writeAll(&header, sizeof header) != 0) return -1;
  if (!regular || info->st_size == 0) return 0;
  int fd = openat(directory, base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
  if (fd < 0) return -1;
  off_t left = info->st_size;
  while (left > 0) {
    ssize_t count = sendfile(output, fd, NULL, (size_t)left);
    if (count <= 0) break;
    left -= count;
  }
  close(fd);
  static const char zeros[blockBytes];
  return left > 0 ? -1 : writeAll(zeros, (size_t)(-info->st_size & (blockBytes - 1)));
}

/** Looks through the directory `name` and below, or writes what is in it. 0: all of it; -1: not simple, or failed. */
static int walk(int parent, const char* base, const char* name, int writes, int depth) {
  struct stat info;
  int fd = depth < deepest ? openat(parent, base, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0)) : -1;
  if (fd < 0 || fstat(fd, &info) != 0) return -1;
  const dev_t device = info.st_dev;
  DIR* stream = fdopendir(fd);
  int result = stream && fits(&info, device, strlen(name)) && (!writes || writeEntry(fd, ".", name, &info) == 0) ? 0 : -1;
  for (struct dirent* entry; result == 0 && (entry = readdir(stream));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char path[longestName + 1];
    result = fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW);
    if (result != 0 || S_ISSOCK(info.st_mode)) continue;
    int length = snprintf(path, sizeof path, "%s%s%s", name, entry->d_name, S_ISDIR(info.st_mode) ? "/" : "");
    if (!fits(&info, device, (size_t)length) || (S_ISLNK(info.st_mode) && info.st_size > longestName)) result = -1;
    else if (S_ISDIR(info.st_mode)) result = walk(fd, entry->d_name, path, writes, depth + 1);
    else if (writes) result = writeEntry(fd, entry->d_name, path, &info);
  }
  if (stream) closedir(stream);
  else close(fd);
  return result;
}

static int create(const char* directory) {
  if (walk(AT_FDCWD, directory, "./", 0, 0) != 0) return -1;
  static const char end[2 * blockBytes];
  return walk(AT_FDCWD, directory, "./", 1, 0) == 0 && writeAll(end, sizeof end) == 0 ? 0 : failed;
}

int quickCreate(int directory, int archive, unsigned first, unsigned count) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
  output = archive;
  firstOwner = first;
  owners = count;
  int result = create(path);
  output = STDOUT_FILENO;
  firstOwner = 0;
  owners = UINT_MAX;
  return result;
}

// Reading.

static int octal(const char* digits, size_t length, uint64_t* number) {
  size_t at = 0;
  *number = 0;
  while (at < length && digits[at] == ' ') at++;
  for (; at < length && digits[at] >= '0' && digits[at] <= '7'; at++) *number = *number * 8 + (uint64_t)(digits[at] - '0');
  return at < length && digits[at] != '\0' && digits[at] != ' ' ? -1 : 0;
}

struct entry {
  char name[sizeof(((struct header*)0)->name) + 1], link[sizeof(((struct header*)0)->link) + 1];
  char type;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  time_t mtime;
  const char* data;
  uint64_t size;
};

/** The entry at *at, which moves on. 1: one, 0: the end, -1: nothing that is understood here. */
static int nextEntry(const char* archive, size_t length, size_t* at, struct entry* entry) {
  if (length - *at < blockBytes) return -1;
  const struct header* header = (const struct header*)(archive + *at);
  if (header->name[0] == '\0') return 0;
  uint64_t mode, uid, gid, mtime, checksum;
  if (memcmp(header->magic, "ustar", 5) != 0 || header->prefix[0] != '\0' || octal(header->mode, 8, &mode) || octal(header->uid, 8, &uid) ||
      octal(header->gid, 8, &gid) || octal(header->size, 12, &entry->size) || octal(header->mtime, 12, &mtime) ||
      octal(header->checksum, 8, &checksum) || checksum != checksumOf(header))
    return -1;
  memset(entry->name, 0, sizeof entry->name);
  memset(entry->link, 0, sizeof entry->link);
  memcpy(entry->name, header->name, sizeof header->name);
  memcpy(entry->link, header->link, sizeof header->link);
  entry->type = header->type;
  entry->mode = mode & 07777;
  entry->uid = (uid_t)uid;
  entry->gid = (gid_t)gid;
  entry->mtime = (time_t)mtime;
  entry->data = archive + *at + blockBytes;
  const int regular = entry->type == isFile;
  if (!regular && entry->size != 0) return -1;
  if (!regular && entry->type != isLink && entry->type != isDevice && entry->type != isDirectory && entry->type != isFifo) return -1;
  uint64_t major, minor;
  if (entry->type == isDevice && (octal(header->major, 8, &major) || octal(header->minor, 8, &minor) || major != 0 || minor != 0)) return -1;
  if (strncmp(entry->name, "./", 2) != 0 || strstr(entry->name, "/../") || entry->size > length - *at - blockBytes) return -1;
  size_t end = strlen(entry->name);
  if (entry->type == isDirectory && end > 2 && entry->name[end - 1] == '/') entry->name[end - 1] = '\0';
  *at += blockBytes + ((entry->size + blockBytes - 1) & ~(uint64_t)(blockBytes - 1));
  return *at > length ? -1 : 1;
}

static int openBelow(int directory, const char* path, uint64_t flags, uint64_t mode) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

static int writeFile(int parent, const char* base, const struct entry* entry) {
  int fd = openBelow(parent, base, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return -1;
  uint64_t done = 0;
  while (done < entry->size) {
    ssize_t count = write(fd, entry->data + done, entry->size - done);
    if (count <= 0) break;
    done += (uint64_t)count;
  }
  close(fd);
  return done == entry->size ? 0 : -1;
}

static int timesOf(int parent, const char* base, const struct entry* entry) {
  const struct timespec times[] = {{0, UTIME_NOW}, {entry->mtime, 0}};
  return utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW);
}

static int makeEntry(int directory, struct entry* entry) {
  if (strcmp(entry->name, "./") == 0) return fchownat(directory, ".", entry->uid, entry->gid, 0) || fchmodat(directory, ".", entry->mode, 0);
  char* base = strrchr(entry->name, '/');
  *base++ = '\0';
  int parent = openBelow(directory, entry->name, O_PATH | O_DIRECTORY, 0), result;
  base[-1] = '/';
  if (parent < 0) return -1;
  if (entry->type == isDirectory) result = mkdirat(parent, base, 0700);
  else if (entry->type == isFifo) result = mkfifoat(parent, base, 0600);
  else if (entry->type == isDevice) result = mknodat(parent, base, S_IFCHR | 0600, 0);
  else if (entry->type == isLink) result = symlinkat(entry->link, parent, base);
  else result = writeFile(parent, base, entry);
  result = result || fchownat(parent, base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
  if (entry->type != isLink) result = result || fchmodat(parent, base, entry->mode, 0);
  if (entry->type != isDirectory) result = result || timesOf(parent, base, entry);
  close(parent);
  return result;
}

static int extractInto(int directory, const char* archive, size_t length) {
  struct entry entry;
  size_t at = 0;
  int found;
  while ((found = nextEntry(archive, length, &at, &entry)) == 1) continue;
  if (found < 0) return -1;
  for (at = 0; nextEntry(archive, length, &at, &entry) == 1;)
    if (makeEntry(directory, &entry) != 0) return failed;
  // Last, since what was made in a directory has changed its time.
  for (at = 0; nextEntry(archive, length, &at, &entry) == 1;)
    if (entry.type == isDirectory && timesOf(directory, entry.name, &entry) != 0) return failed;
  return 0;
}

int quickExtract(int file, const char* path) {
  struct stat info;
  if (lseek(file, 0, SEEK_CUR) != 0 || fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < blockBytes) return -1;
  const size_t length = (size_t)info.st_size;
  const char* archive = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
  if (archive == MAP_FAILED) return -1;
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = directory < 0 ? -1 : extractInto(directory, archive, length);
  if (directory >= 0) close(directory);
  munmap((void*)archive, length);
  return result;
}

int quickTar(char* const arguments[]) {
  int creates = 0, extracts = 0;
  const char* directory = directoryIn(arguments, &creates, &extracts);
  if (!directory || creates == extracts) return -1;
  return creates ? create(directory) : quickExtract(STDIN_FILENO, directory);
}
