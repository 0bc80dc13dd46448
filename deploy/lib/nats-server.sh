# Where nats-server is: the system's, or, without root, one fetched into a private prefix. Sourced by deploy/bootstrap.

# Sets nats_server to its path; empty when there is none.
find_nats_server() {
  nats_server=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nats-server || true)
  [ -n "$nats_server" ] && return 0
  local prefix="$root/.drover/nats"
  fetched_nats_server "$prefix" && return 0
  if ! command -v apt-get >/dev/null; then
    warn "nats-server: install it; there is no apt to fetch it with"
    return 1
  fi
  if [ ! -f "$root/deploy/lib/apt-private" ]; then
    warn "nats-server, and deploy/lib/apt-private to fetch it with"
    return 1
  fi
  local suite
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  doing "fetching nats-server of $suite into $prefix"
  run_logged nats-server bash "$root/deploy/lib/apt-private" "$prefix" "$suite" nats-server || return 1
  fetched_nats_server "$prefix" || { warn "nats-server: not in what was fetched into $prefix"; return 1; }
}

fetched_nats_server() {
  local candidate
  for candidate in "$1/usr/sbin/nats-server" "$1/usr/bin/nats-server"; do
    if [ -x "$candidate" ]; then nats_server=$candidate && return 0; fi
  done
  return 1
}
