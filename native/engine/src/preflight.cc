// See preflight.h, proc(5), namespaces(7). Each rule names what CRIU (4.2) does with the object.
#include "preflight.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "cpu_affinity.h"
#include "file_io.h"
#include "inside_root.h"
#include "json_io.h"
#include "kernel_keys.h"
#include "lasting_sleep.h"
#include "mountinfo.h"
#include "netlink.h"
#include "netlink_message.h"
#include "network_links.h"
#include "pidfd.h"

namespace drover {

namespace {

constexpr size_t mostFindings = 20;
/** A look this long is a look too long: what was seen until then is told. */
constexpr std::chrono::milliseconds longestLook{2000};
constexpr size_t statusBytes = 16 << 10;
constexpr uint64_t messageQueueFileSystem = 0x19800202;
constexpr int packetMode = 040000;
constexpr unsigned memoryDevices = 1, terminals = 4, consoles = 5, firstSlaves = 136, lastSlaves = 143;
constexpr unsigned miscellaneous = 10, tunnel = 200;

using Clock = std::chrono::steady_clock;

std::string linkAt(const std::string& path) {
  char target[512];
  ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<size_t>(length)) : "";
}

/** The value after `key:` at the start of a line. */
std::string valueOf(const std::string& text, const std::string& key) {
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    if (at != 0 && text[at - 1] != '\n') continue;
    size_t from = text.find_first_not_of(" \t", at + key.size());
    return from == std::string::npos ? "" : text.substr(from, text.find('\n', from) - from);
  }
  return "";
}

std::string lastWord(const std::string& text) { return text.substr(text.find_last_of(" \t") + 1); }

struct Rule {
  const char* reason;
  const char* what;
};

/** Descriptors that live in the kernel alone; those not here CRIU has never heard of. */
const std::map<std::string, Rule> anonymous = {
    {"[io_uring]", {"IO_URING", "an io_uring"}},         {"[perf_event]", {"PERF_EVENT", "a perf event"}},
    {"[userfaultfd]", {"USERFAULTFD", "a userfaultfd"}}, {"bpf-prog", {"BPF", "a BPF program"}},
    {"bpf-map", {"BPF", "a BPF map"}},                   {"bpf_link", {"BPF", "a BPF link"}},
};
const std::set<std::string> carried = {"[eventfd]", "[eventpoll]", "[signalfd]", "[timerfd]", "inotify", "[fanotify]", "[pidfd]"};

/** Nested ones are refused by CRIU, a network one by drover's option for a quick blackout (--empty-ns). Mount ones are carried. */
const std::map<std::string, Rule> namespaces = {
    {"user", {"NESTED_USER_NAMESPACE", "a user namespace of its own"}}, {"pid", {"NESTED_PID_NAMESPACE", "a PID namespace of its own"}},
    {"pid_for_children", {"NESTED_PID_NAMESPACE", "a PID namespace for its children"}},
    {"uts", {"NESTED_UTS_NAMESPACE", "a UTS namespace of its own"}},    {"ipc", {"NESTED_IPC_NAMESPACE", "an IPC namespace of its own"}},
    {"net", {"NESTED_NETWORK_NAMESPACE", "a network namespace of its own"}},
    {"time", {"NESTED_TIME_NAMESPACE", "a time namespace of its own"}},
};

class Look {
 public:
  Look(const Engine& engine, const Container& container)
      : engine_(engine), container_(container), record_(container.snapshot()), init_(record_.initPid), processes_(engine.cgroups().processes(container.id)) {}

  Json all() {
    for (const auto& [kind, rule] : namespaces) initNamespaces_[kind] = linkAt(proc(init_) + "/ns/" + kind);
    size_t seen = 0;
    for (pid_t pid : processes_) {
      if (findings_.size() >= mostFindings || Clock::now() - begun_ > longestLook) break;
      lookAt(pid);
      seen++;
    }
    lookAtQueues();
    lookAtKeys();
    lookAtNetwork();
    lookAtAffinities();
    lookAtSleeps();
    return {{"findings", listOf(findings_)}, {"warnings", listOf(warnings_)}, {"processes", processes_.size()}, {"complete", seen == processes_.size()}};
  }

 private:
  static Json listOf(const std::vector<Finding>& findings) {
    Json list = Json::array();
    for (const auto& finding : findings) {
      Json each = {{"reason", finding.reason}, {"pid", finding.pid}, {"process", finding.process}, {"message", finding.message}, {"passing", finding.passing}};
      if (!finding.cpus.empty()) each["cpus"] = finding.cpus;
      list.push_back(std::move(each));
    }
    return list;
  }

  static std::string proc(pid_t pid) { return "/proc/" + std::to_string(pid); }

  void lookAt(pid_t pid) {
    auto status = readFile(proc(pid) + "/status", statusBytes);
    if (!status.ok() || status.value().empty()) return;
    isAbout(status.value());
    const std::string state = valueOf(status.value(), "State:");
    if (state.starts_with("Z") || state.starts_with("X")) return;
    if (valueOf(status.value(), "TracerPid:") != "0") find("TRACED", "is traced by another process");
    sleeps_.notice(pid, status.value());
    lookAtNamespaces(pid);
    lookAtMounts(pid);
    lookAtDescriptors(pid);
  }

  void lookAtNamespaces(pid_t pid) {
    for (const auto& [kind, rule] : namespaces) {
      const std::string theirs = linkAt(proc(pid) + "/ns/" + kind);
      // `pid_for_children` of a namespace without any process has no target.
      if (!theirs.empty() && theirs != initNamespaces_[kind]) find(rule.reason, std::string("has ") + rule.what);
    }
  }

  /** Once for each mount namespace. */
  void lookAtMounts(pid_t pid) {
    if (!mountNamespaces_.insert(linkAt(proc(pid) + "/ns/mnt")).second) return;
    auto table = readFile(proc(pid) + "/mountinfo", 4 << 20);
    if (!table.ok()) return;
    std::istringstream lines(table.value());
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string id, parent, device, from, path, word, type;
      words >> id >> parent >> device >> from >> path;
      while (words >> word && word != "-") {
      }
      words >> type;
      const bool ownRoot = type == "overlay" && rootDevice() == device;
      const bool ownView = type == "fuse.lxcfs" && (path.starts_with("/proc/") || path.starts_with("/sys/"));
      if ((type == "overlay" && !ownRoot) || (type.starts_with("fuse") && !ownView) || type.starts_with("nfs") || type == "cifs" || type == "9p" || type == "ceph")
        findOfContainer("MOUNT", "a mount of type " + type + " at " + unescapeMountinfo(path));
    }
  }

  const std::string& rootDevice() {
    if (rootDevice_.empty()) {
      struct stat info;
      if (stat((proc(init_) + "/root").c_str(), &info) == 0) rootDevice_ = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
    }
    return rootDevice_;
  }

  void lookAtDescriptors(pid_t pid) {
    const std::string directory = proc(pid) + "/fd/";
    DIR* open = opendir(directory.c_str());
    if (open == nullptr) return;
    while (const dirent* entry = readdir(open)) {
      if (entry->d_name[0] == '.') continue;
      const std::string target = linkAt(directory + entry->d_name);
      if (target.starts_with("socket:[")) lookAtSocket(pid, atoi(entry->d_name));
      else if (target.starts_with("anon_inode:")) lookAtAnonymous(target.substr(11));
      else if (target.starts_with("pipe:[")) lookAtPipe(pid, entry->d_name);
      else if (target.starts_with("/") && !target.starts_with("/memfd:")) lookAtFile(directory + entry->d_name, target);
    }
    closedir(open);
  }

  void lookAtSocket(pid_t pid, int descriptor) {
    if (pidfdOf_ != pid) {
      pidfdOf_ = pid;
      auto opened = openPidfd(pid);
      pidfd_ = opened.ok() ? std::move(opened.value()) : UniqueFd();
    }
    if (!pidfd_.valid()) return;
    const auto answer = askSocket(pidfd_.get(), descriptor);
    if (answer.waitingConnections) find("WAITING_CONNECTIONS", "has connections waiting that it has not accepted", true);
    if (answer.unreadNetlink) find("UNREAD_NETLINK", "has a netlink socket with unread data", true);
    if (!answer.refused.empty()) find("SOCKET", "has " + answer.refused);
  }

  void lookAtAnonymous(const std::string& kind) {
    if (carried.contains(kind)) return;
    if (auto rule = anonymous.find(kind); rule != anonymous.end()) return find(rule->second.reason, std::string("has ") + rule->second.what + " open");
    find("UNKNOWN_DESCRIPTOR", "has an " + kind + " open");
  }

  void lookAtPipe(pid_t pid, const char* descriptor) {
    auto info = readFile(proc(pid) + "/fdinfo/" + descriptor, 4096);
    if (info.ok() && strtol(valueOf(info.value(), "flags:").c_str(), nullptr, 8) & packetMode) find("PACKET_PIPE", "has a pipe in packet mode (O_DIRECT)");
  }

  void lookAtFile(const std::string& link, const std::string& target) {
    struct stat info;
    if (stat(link.c_str(), &info) != 0) return;
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      const unsigned kind = major(info.st_rdev);
      const bool terminal = kind == terminals || kind == consoles || (kind >= firstSlaves && kind <= lastSlaves);
      const bool known = S_ISCHR(info.st_mode) && (kind == memoryDevices || terminal || (kind == miscellaneous && minor(info.st_rdev) == tunnel));
      if (!known) find("DEVICE", "has the device " + target + " open");
      return;
    }
    struct statfs system;
    if (!S_ISREG(info.st_mode) || statfs(link.c_str(), &system) != 0) return;
    if (static_cast<uint64_t>(system.f_type) == messageQueueFileSystem) find("MESSAGE_QUEUE", "has the POSIX message queue " + target + " open");
  }

  /** Those that nobody has open are left behind without a word. */
  void lookAtQueues() {
    struct statfs system;
    auto root = openInsideRoot(container_);
    if (!root.ok()) return;
    UniqueFd directory = openWithin(root.value().get(), "/dev/mqueue", O_RDONLY | O_DIRECTORY);
    if (!directory.valid() || fstatfs(directory.get(), &system) != 0 || static_cast<uint64_t>(system.f_type) != messageQueueFileSystem) return;
    DIR* open = fdopendir(directory.get());
    if (open == nullptr) return;
    directory.release();
    while (const dirent* entry = readdir(open))
      if (entry->d_name[0] != '.') findOfContainer("MESSAGE_QUEUE", std::string("the POSIX message queue /") + entry->d_name);
    closedir(open);
  }

  /** A container that has the host's users shares their keys with the host: not its own. */
  void lookAtKeys() {
    const Spec& spec = record_.spec;
    if (spec.security.privileged) return;
    auto users = readKeys(spec.owner(), uidRange);
    if (!users.ok()) return;
    for (const auto& [uid, keys] : users.value()) {
      if (warnings_.size() >= mostFindings) return;
      const std::string count = keys.size() == 1 ? "a key" : std::to_string(keys.size()) + " keys";
      const std::string example = keys.front() + (keys.size() > 1 ? ", …" : "");
      warnings_.push_back({"KEYRING", 0, "", "user " + std::to_string(uid - spec.owner()) + " has " + count + " in the kernel's keyrings (" + example + "), which would not come along"});
    }
  }

  void lookAtNetwork() {
    auto network = openNetworkNamespace(init_);
    if (!network.ok()) return;
    auto inside = NetlinkSocket::open(network.value().get());
    if (!inside.ok()) return;
    auto links = dumpLinks(inside.value());
    if (!links.ok()) return;
    if (const std::string link = unmovableLink(links.value(), record_.spec); !link.empty())
      findOfContainer("NETWORK_LINK", "a network link that can't be made on another host: " + link);
    for (const std::string& link : shapedLinks(links.value(), record_.spec))
      if (warnings_.size() < mostFindings) warnings_.push_back({"TRAFFIC_CONTROL", 0, "", "its traffic control of " + link + " would not come along"});
  }

  /** They come along, where the other host has such CPUs: whoever knows the hosts can tell. Once for each process and set of CPUs. */
  void lookAtAffinities() {
    for (const auto& [process, thread, name, cpus] : boundThreads(engine_.cgroups(), container_.id, processes_)) {
      const std::string list = formatCpuList(cpus);
      const std::string message = name + " (" + std::to_string(process) + ") is bound to CPU " + list;
      const bool known = std::any_of(warnings_.begin(), warnings_.end(), [&](const Finding& each) { return each.message == message; });
      if (!known && warnings_.size() < mostFindings) warnings_.push_back({"AFFINITY", process, name, message, false, list});
    }
  }

  /** With CRIU such a sleep is a wait of ten seconds, frozen. Frozen processes look as if they slept so. */
  void lookAtSleeps() {
    if (record_.state != State::running) return;
    const auto lasting = sleeps_.find();
    if (container_.snapshot().state != State::running) return;
    for (const auto& status : lasting) {
      isAbout(status);
      find("UNINTERRUPTIBLE", "is in uninterruptible sleep", true);
    }
  }

  /** `status` is the process's, as proc(5) has it. */
  void isAbout(const std::string& status) {
    process_ = valueOf(status, "Name:");
    pid_ = strtoll(lastWord(valueOf(status, "NSpid:")).c_str(), nullptr, 10);
  }

  /** The same of the same process once. */
  void find(const char* reason, const std::string& does, bool passing = false) {
    for (const auto& finding : findings_)
      if (finding.pid == pid_ && std::string_view(finding.reason) == reason) return;
    if (findings_.size() < mostFindings) findings_.push_back({reason, pid_, process_, process_ + " (" + std::to_string(pid_) + ") " + does, passing});
  }

  void findOfContainer(const char* reason, const std::string& what) {
    for (const auto& finding : findings_)
      if (std::string_view(finding.reason) == reason) return;
    if (findings_.size() < mostFindings) findings_.push_back({reason, 0, "", "it has " + what, false});
  }

  const Engine& engine_;
  const Container& container_;
  const Record record_;
  const pid_t init_;
  const std::vector<pid_t> processes_;
  const Clock::time_point begun_ = Clock::now();
  std::vector<Finding> findings_, warnings_;
  LastingSleeps sleeps_;
  std::map<std::string, std::string> initNamespaces_;
  std::set<std::string> mountNamespaces_;
  pid_t pidfdOf_ = 0;
  UniqueFd pidfd_;
  std::string rootDevice_;
  /** Of whom is being looked at. */
  std::string process_;
  int64_t pid_ = 0;
};

}  // namespace

Result<Json> preflight(const Engine& engine, const Container& container) {
  if (container.snapshot().initPid == 0) return Json{{"findings", Json::array()}, {"warnings", Json::array()}, {"processes", 0}, {"complete", true}};
  return Look(engine, container).all();
}

}  // namespace drover
