# Debian packages of deploy/packages.txt. Sourced by deploy/bootstrap. Only what is missing is installed, and only then are
# apt's lists refreshed. Nothing that comes along may start a service: drover runs its daemons itself.

# Prints the names of the packages that aren't installed.
missing_apt_packages() {
  local wanted
  wanted=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$root/deploy/packages.txt" |
    awk -v purpose="${DROVER_BOOTSTRAP_FOR:-}" '$2 !~ /^(test|machine)$/ || $2 == purpose {print $1}')
  # shellcheck disable=SC2086
  dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    awk '$2 == "installed" {print $1}' | sort -u >"$state/apt-installed"
  printf '%s\n' $wanted | sort -u | comm -23 - "$state/apt-installed" | tr '\n' ' ' | sed 's/ $//'
}

install_apt_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    warn "apt: this machine is not Debian or Ubuntu; the packages that deploy/packages.txt names have to be there already"
    return 0
  fi
  local missing
  missing=$(missing_apt_packages)
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" != 0 ]; then
    warn "apt packages, and only root can install them: apt-get install --no-install-recommends $missing"
    return 0
  fi
  if known_unavailable "$missing"; then
    warn "apt packages that this release's archive didn't have when last asked, today: $missing"
    return 0
  fi
  doing "apt-get update"
  run_logged apt-update apt-get -o DPkg::Lock::Timeout=120 update ||
    warn "fresh package lists; the ones at hand are used"
  drop_packages_without_candidate
  [ -z "$missing" ] && return 0
  doing "apt-get install $missing"
  keep_services_off
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive run_logged apt-install \
    apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $missing ||
    warn "apt packages: $(missing_apt_packages)"
  allow_services
  case " $missing " in *' nats-server '*) disable_nats_service ;; esac
}

# Whether the archive lacked just these in the last day: then apt isn't asked again at every start.
known_unavailable() {
  [ -n "$(find "$state/apt-unavailable" -mmin -1440 2>/dev/null)" ] && [ "$(cat "$state/apt-unavailable")" = "$1" ]
}

# Takes out of `missing` what this release doesn't have, so that one such package doesn't keep the others away.
drop_packages_without_candidate() {
  local name candidate kept= dropped=
  for name in $missing; do
    candidate=$(LC_ALL=C apt-cache policy "$name" 2>/dev/null | awk '$1 == "Candidate:" {print $2}')
    case $candidate in
      '' | '(none)')
        warn "package $name: this release's archive doesn't have it"
        dropped="$dropped $name"
        ;;
      *) kept="$kept $name" ;;
    esac
  done
  missing=${kept# }
  printf '%s' "${dropped# }" >"$state/apt-unavailable"
}

# A maintainer script asks policy-rc.d whether it may start its service; for as long as apt runs the answer is no.
readonly service_policy=/usr/sbin/policy-rc.d
readonly service_policy_mark='# drover bootstrap: no service starts while packages are installed'

keep_services_off() {
  [ -e "$service_policy" ] && ! grep -qF "$service_policy_mark" "$service_policy" && return 0
  printf '#!/bin/sh\n%s\nexit 101\n' "$service_policy_mark" >"$service_policy"
  chmod 755 "$service_policy"
  trap allow_services EXIT
}

allow_services() {
  if [ -e "$service_policy" ] && grep -qF "$service_policy_mark" "$service_policy"; then rm -f "$service_policy"; fi
}

# Installed for drover just now: its own service would otherwise start at the next boot, and hold the port.
disable_nats_service() {
  [ -d /run/systemd/system ] && command -v systemctl >/dev/null || return 0
  doing "systemctl disable nats-server (drover starts its own; systemctl enable nats-server brings it back)"
  systemctl disable --quiet nats-server 2>/dev/null || true
}
