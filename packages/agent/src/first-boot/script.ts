// Pure: the script that carries out, inside and once, what needs a running system: packages, commands and scripts. It lets go of whoever
// starts it, so that no agent has to stay; the file `state` is both its claim (whoever makes it runs) and its record: a line with its
// process id and the start of the container that it belongs to, one for each step, and the last one how it ended.

import { type FirstBootPlan, firstBootLog } from '@drover/protocol'

/** Null: there is nothing that needs a running system. */
export function firstBootScript(plan: FirstBootPlan, directory: string): string | null {
  const { packages, updatePackages, upgradePackages, commands, scripts, finalMessage } = plan
  const steps = [
    ...(packages.length > 0 || updatePackages || upgradePackages
      ? [step('package_update', 'drover_packages update')]
      : []),
    ...(upgradePackages ? [step('package_upgrade', 'drover_packages upgrade')] : []),
    ...(packages.length > 0
      ? [step('packages', `drover_packages install ${packages.map((words) => words.join('@@')).join(' ')}`)]
      : []),
    ...commands.map((command, at) =>
      step(`runcmd[${at}]`, typeof command === 'string' ? `eval ${quote(command)}` : command.map(quote).join(' ')),
    ),
    ...scripts.map(({ name }) => step(name, quote(`${directory}/${name}`))),
    ...(finalMessage === null ? [] : [`echo ${quote(finalMessage)}`]),
  ]
  return steps.length === 0 ? null : `${head(directory)}${steps.join('\n')}\n`
}

const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

/** A command that fails is remembered, and the others follow all the same, as with cloud-init. */
const step = (name: string, command: string) => `drover_step ${quote(name)}\n${command}\ndrover_ended $?\n`

const head = (directory: string) => `#!/bin/sh
# The first boot of this container: run once, as root, after init has come up. Written by drover.
drover_here=${quote(directory)}
drover_log=${quote(firstBootLog)}
if [ "$1" != alone ]; then
  mkdir -p /var/log
  if command -v setsid >/dev/null 2>&1; then
    setsid /bin/sh "$0" alone "$1" </dev/null >>"$drover_log" 2>&1 &
  else
    trap '' HUP
    /bin/sh "$0" alone "$1" </dev/null >>"$drover_log" 2>&1 &
  fi
  exit 0
fi
(set -C; echo "running $$ $2" >"$drover_here/state") 2>/dev/null || exit 0
drover_failures=
drover_at=
drover_tell() {
  echo "$*" >>"$drover_here/state"
  echo "== $(date '+%Y-%m-%d %H:%M:%S') $*"
}
drover_step() {
  drover_at=$1
  drover_tell "step $1"
}
drover_ended() {
  [ "$1" -eq 0 ] || drover_failures="\${drover_failures:+$drover_failures, }$drover_at ended with $1"
}
drover_finish() {
  drover_code=$?
  trap - EXIT
  [ "$drover_code" -eq 0 ] || drover_ended "$drover_code"
  if [ -z "$drover_failures" ]; then drover_tell done; else drover_tell "failed $drover_failures"; fi
}
trap drover_finish EXIT
drover_init_is_up() {
  if [ -d /run/systemd/system ]; then
    case "$(systemctl is-system-running --wait 2>/dev/null)" in
      running | degraded | maintenance | stopping) return 0 ;;
    esac
  elif command -v runlevel >/dev/null 2>&1 && [ -p /run/initctl ]; then
    case "$(runlevel 2>/dev/null)" in *[2-5]) return 0 ;; esac
  else
    return 0
  fi
  return 1
}
drover_packages() {
  drover_what=$1
  shift
  drover_names=
  export DEBIAN_FRONTEND=noninteractive
  if command -v apt-get >/dev/null 2>&1; then
    for drover_each in "$@"; do drover_names="$drover_names $(echo "$drover_each" | sed 's/@@/=/')"; done
    drover_apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold"
    case $drover_what in
      update) $drover_apt update ;;
      upgrade) $drover_apt dist-upgrade ;;
      install) $drover_apt install $drover_names ;;
    esac
  elif command -v apk >/dev/null 2>&1; then
    for drover_each in "$@"; do drover_names="$drover_names $(echo "$drover_each" | sed 's/@@/=/')"; done
    case $drover_what in update) apk update ;; upgrade) apk upgrade ;; install) apk add $drover_names ;; esac
  elif command -v dnf >/dev/null 2>&1 || command -v yum >/dev/null 2>&1; then
    for drover_each in "$@"; do drover_names="$drover_names $(echo "$drover_each" | sed 's/@@/-/')"; done
    drover_dnf=$(command -v dnf || command -v yum)
    case $drover_what in
      update) "$drover_dnf" -y makecache ;;
      upgrade) "$drover_dnf" -y upgrade ;;
      install) "$drover_dnf" -y install $drover_names ;;
    esac
  elif command -v zypper >/dev/null 2>&1; then
    for drover_each in "$@"; do drover_names="$drover_names $(echo "$drover_each" | sed 's/@@/=/')"; done
    case $drover_what in
      update) zypper --non-interactive refresh ;;
      upgrade) zypper --non-interactive update ;;
      install) zypper --non-interactive install $drover_names ;;
    esac
  elif command -v pacman >/dev/null 2>&1; then
    for drover_each in "$@"; do drover_names="$drover_names \${drover_each%%@@*}"; done
    case $drover_what in
      update) pacman -Sy --noconfirm ;;
      upgrade) pacman -Su --noconfirm ;;
      install) pacman -S --noconfirm --needed $drover_names ;;
    esac
  else
    echo "packages: none of apt-get, apk, dnf, yum, zypper and pacman is in this image"
    return 127
  fi
}
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
drover_tries=0
until drover_init_is_up || [ "$drover_tries" -ge 120 ]; do
  drover_tries=$((drover_tries + 1))
  sleep 1
done
`
