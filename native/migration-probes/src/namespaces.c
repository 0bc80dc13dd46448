// Namespaces and mounts made inside.

#include <sys/mount.h>
#include <sys/utsname.h>

#include "probe.h"

PROBE(user, "namespace-user", "a user namespace made inside");
PROBE(pid, "namespace-pid", "a PID namespace made inside (what Docker and Podman do)");
PROBE(uts, "namespace-uts", "a UTS namespace made inside");
PROBE(ipc, "namespace-ipc", "an IPC namespace made inside");
PROBE(net, "namespace-net", "a network namespace made inside");
PROBE(mnt, "namespace-mount", "a mount namespace made inside, with a mount of its own");
PROBE(tmpfs, "mount-tmpfs", "a tmpfs mounted inside, with files");
PROBE(bound, "mount-bind", "bind mounts inside, of a directory and a file");
PROBE(overlay, "mount-overlay", "an overlay mounted inside");
PROBE(hostname, "hostname", "the host name, set inside");

static pid_t child;
static int wanted, started[2];

static void live_apart(void *unused) {
  (void)unused;
  char good = unshare(wanted) == 0;
  // A PID namespace is that of the children.
  if (good && wanted & CLONE_NEWPID && fork() != 0) {
    for (;;) pause();
  }
  if (good && wanted & CLONE_NEWNS && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
    good = mount("own", "/mnt", "tmpfs", 0, NULL) == 0 && mkdir("/mnt/own", 0755) == 0;
  if (write(started[1], &good, 1) != 1) return;
  for (;;) pause();
}

static verdict apart(int flags) {
  char good = 0;
  wanted = flags;
  MUST(pipe(started));
  child = spawn(live_apart, NULL);
  CHECK(readable(started[0], 5000) && read(started[0], &good, 1) == 1, "the child did not start");
  return good ? NULL : absent("unshare is not permitted");
}

static verdict still_apart(const char *kind) {
  char path[64], theirs[64] = "", ours[64] = "";
  snprintf(path, sizeof path, "/proc/%d/ns/%s", child, kind);
  CHECK(readlink(path, theirs, sizeof theirs - 1) > 0, "the child is gone");
  snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
  MUST(readlink(path, ours, sizeof ours - 1));
  CHECK(strcmp(theirs, ours), "the child is in our namespace");
  return NULL;
}

static verdict user_setup(void) { return apart(CLONE_NEWUSER); }
static verdict user_check(void) { return still_apart("user"); }
static verdict pid_setup(void) { return apart(CLONE_NEWPID); }
static verdict pid_check(void) { return still_apart("pid_for_children"); }
static verdict uts_setup(void) { return apart(CLONE_NEWUTS); }
static verdict uts_check(void) { return still_apart("uts"); }
static verdict ipc_setup(void) { return apart(CLONE_NEWIPC); }
static verdict ipc_check(void) { return still_apart("ipc"); }
static verdict net_setup(void) { return apart(CLONE_NEWNET); }
static verdict net_check(void) { return still_apart("net"); }
static verdict mnt_setup(void) { return apart(CLONE_NEWNS); }

static verdict mnt_check(void) {
  char path[64];
  struct stat state;
  TRY(still_apart("mnt"));
  snprintf(path, sizeof path, "/proc/%d/root/mnt/own", child);
  CHECK(stat(path, &state) == 0, "its own mount is gone: %s", strerror(errno));
  CHECK(stat("/mnt/own", &state) < 0, "its own mount is ours, too");
  return NULL;
}

static verdict write_file(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0640);
  CHECK(fd >= 0, "make %s: %s", path, strerror(errno));
  TRY(put(fd, text, strlen(text)));
  close(fd);
  return NULL;
}

static verdict file_is(const char *path, const char *text) {
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0, "open %s: %s", path, strerror(errno));
  verdict same = expect(fd, text, strlen(text));
  close(fd);
  return same;
}

static verdict mount_at(const char *source, const char *name, const char *type, unsigned long flags, const char *options) {
  mkdir(place(name), 0755);
  if (mount(source, place(name), type, flags, options) < 0) return absent("mount %s: %s", name, strerror(errno));
  return NULL;
}

static verdict tmpfs_setup(void) {
  TRY(mount_at("probe", "tmpfs", "tmpfs", MS_NOSUID, "size=4m,mode=0751"));
  return write_file(place("tmpfs/file"), "in a tmpfs");
}

static verdict tmpfs_check(void) {
  struct stat state;
  TRY(file_is(place("tmpfs/file"), "in a tmpfs"));
  MUST(stat(place("tmpfs"), &state));
  CHECK((state.st_mode & 07777) == 0751, "its mode is %o", state.st_mode & 07777);
  MUST(stat(place("tmpfs/file"), &state));
  CHECK((state.st_mode & 07777) == 0640, "the file's mode is %o", state.st_mode & 07777);
  return NULL;
}

static verdict bound_setup(void) {
  mkdir(place("source"), 0755);
  TRY(write_file(place("source/file"), "bound"));
  TRY(mount_at(place("source"), "target", NULL, MS_BIND, NULL));
  TRY(write_file(place("single"), ""));
  MUST(mount(place("source/file"), place("single"), NULL, MS_BIND, NULL));
  return NULL;
}

static verdict bound_check(void) {
  TRY(file_is(place("target/file"), "bound"));
  return file_is(place("single"), "bound");
}

static verdict overlay_setup(void) {
  char options[800];
  TRY(mount_at("probe", "layers", "tmpfs", 0, NULL));
  mkdir(place("layers/lower"), 0755);
  mkdir(place("layers/upper"), 0755);
  mkdir(place("layers/work"), 0755);
  TRY(write_file(place("layers/lower/file"), "below"));
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", place("layers/lower"), place("layers/upper"), place("layers/work"));
  return mount_at("probe", "overlay", "overlay", 0, options);
}

static verdict overlay_check(void) {
  TRY(file_is(place("overlay/file"), "below"));
  TRY(write_file(place("overlay/new"), "above"));
  return file_is(place("layers/upper/new"), "above");
}

static struct utsname before;

static verdict hostname_setup(void) { return uname(&before) < 0 ? bad("uname") : NULL; }

static verdict hostname_check(void) {
  struct utsname now;
  MUST(uname(&now));
  CHECK(!strcmp(now.nodename, before.nodename), "it is %s now", now.nodename);
  return NULL;
}
