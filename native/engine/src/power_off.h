// How an init is asked to shut its system down: each kind has its own way.
#pragma once

#include <sys/types.h>

#include "error.h"

namespace drover {

/**
 * Sends `signal` to the init of that pid, which `pidfd` keeps from being another's; 0: in the way of its kind (systemd, busybox and
 * what else listens by signals, SysV by its pipe). What an init has no handler for is lost on it, so one that has just begun is given up to
 * `patienceMs` to listen.
 */
Status askInitToPowerOff(pid_t pid, int pidfd, int signal, int patienceMs);

}  // namespace drover
