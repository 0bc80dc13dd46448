// drover-engine CONFIG.json: the native supervisor of one host. Root only; one process; if it dies the containers live on and
// the next one adopts them. `drover-engine --criu-selftest PATH` tests a criu binary instead.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <string>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "checkpoint.h"
#include "criu_selftest.h"
#include "cgroup_limits.h"
#include "engine.h"
#include "file_io.h"
#include "hotplug.h"
#include "log.h"
#include "methods.h"
#include "root_files.h"
#include "server.h"

namespace drover {
namespace {

/** A process that the last engine was just forking when it died holds its lock for a moment longer. */
constexpr int lockTries = 100;
constexpr useconds_t lockPauseUs = 20'000;

/** Only one engine may work on a state directory; the lock ends with the process. */
Result<UniqueFd> lockState(const Config& config) {
  DROVER_TRY(makeDirectories(config.stateDirectory, 0700));
  std::string path = config.stateDirectory + "/engine.lock";
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return errnoError("open " + path);
  for (int tries = 1; flock(lock.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK || tries == lockTries) return errnoError("lock " + path + " (is another engine running?)");
    usleep(lockPauseUs);
  }
  return lock;
}

Status run(const std::string& configPath) {
  if (geteuid() != 0) return engineError("the engine makes namespaces, mounts and cgroups: it must run as root");
  DROVER_TRY_ASSIGN(config, loadConfig(configPath));
  DROVER_TRY_ASSIGN(lock, lockState(config));
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return errnoError("become subreaper");
  // Children's modes are set by name; nothing of the engine's own is for others.
  umask(0);
  signal(SIGPIPE, SIG_IGN);
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGHUP);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  UniqueFd signals(signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));

  DROVER_TRY_ASSIGN(cgroups, Cgroups::discover(config.cgroup));
  cgroups.limitTrafficOf(blockDeviceOf(config.stateDirectory));
  OwnCache ownCache(cgroups);
  ownCache.begin();
  DROVER_TRY_ASSIGN(seccomp, buildSeccompProfile());
  InitSpawner spawner(seccomp);
  DROVER_TRY(spawner.begin(Engine::workers));
  DROVER_TRY_ASSIGN(loop, EventLoop::create());
  EventLoop& events = *loop;
  DROVER_TRY(events.add(signals.get(), EPOLLIN, [&events](uint32_t) { events.stop(); }));

  std::string socket = config.socket;
  Engine engine(std::move(config), std::move(cgroups), ownCache, std::move(seccomp), spawner, events);
  Methods methods(engine);
  Hotplug hotplug(events);
  Status listening = hotplug.begin([&engine] { engine.devicesChanged(); });
  if (!listening.ok()) logLine("warn", "USB devices come only at a start: " + listening.error().message);
  if (Status made = makeBottomLayer(engine.config().stateDirectory + "/.bottom"); !made.ok())
    logLine("warn", made.error().message + ": each container gets devices of its own");
  DROVER_TRY(engine.adopt());
  DROVER_TRY(engine.lease().begin());
  Server server(events, [&methods](const std::shared_ptr<Connection>& connection) { methods.serve(connection); });
  DROVER_TRY(server.listen(socket));
  logLine("info", "listening on " + socket + ", " + std::to_string(engine.all().size()) + " containers");
  engine.submit([&engine] { engine.beginView(); });
  engine.submit([&engine] { warmCriu(engine.config()); });
  events.run();
  logLine("info", "ending; containers go on");
  // Workers may be in the middle of an operation: they end as they would in a crash, which every operation stands.
  unlink(socket.c_str());
  if (engine.all().empty()) engine.view().end();
  ownCache.end();
  engine.cgroups().removeParent();
#ifdef __SANITIZE_ADDRESS__
  if (__lsan_do_recoverable_leak_check() != 0) _exit(1);
#endif
  _exit(0);
}

}  // namespace
}  // namespace drover

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--criu-selftest") return drover::criuSelftest(argv[2]);
  if (argc != 2) {
    fprintf(stderr, "usage: drover-engine CONFIG.json\n       drover-engine --criu-selftest PATH\n");
    return 2;
  }
  // Many threads with many arenas would cost more memory than everything else.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 128 << 10);
  drover::Status ended = drover::run(argv[1]);
  if (!ended.ok()) drover::logLine("error", ended.error().code + ": " + ended.error().message);
  return ended.ok() ? 0 : 1;
}
