# The programs that even simulated hosts need: nats-server, and the static busybox that the embedded image is made of. The
# system's are used; without root they are fetched into a private prefix. Sourced by deploy/bootstrap.

# Sets nats_server and busybox to paths, or to nothing when there is none.
find_tools() {
  look_for_tools
  local wanted=
  [ -n "$nats_server" ] || wanted=nats-server
  [ -n "$busybox" ] || wanted="$wanted busybox-static"
  [ -z "$wanted" ] && return 0
  if ! command -v apt-get >/dev/null; then
    warn "${wanted# }: install them; there is no apt to fetch them with"
    return 0
  fi
  doing "fetching ${wanted# } into $private_tools"
  # shellcheck disable=SC2086
  run_logged private-tools bash "$root/deploy/lib/apt-private" "$private_tools" system nats-server busybox-static || true
  look_for_tools
  [ -n "$nats_server" ] || warn "nats-server: no controller and no agent can speak without it"
  [ -n "$busybox" ] || warn "busybox-static: the busybox image cannot be built"
}

readonly private_tools="$root/.drover/prefix"

look_for_tools() {
  nats_server=$(PATH="$PATH:/usr/sbin:/usr/local/sbin:$private_tools/usr/sbin:$private_tools/usr/bin" command -v nats-server || true)
  local candidate
  busybox=
  for candidate in /bin/busybox /usr/bin/busybox "$private_tools/usr/bin/busybox"; do
    # The dynamic busybox of some systems has neither init nor httpd.
    if [ -x "$candidate" ] && "$candidate" --list 2>/dev/null | grep -x init >/dev/null; then
      busybox=$candidate
      return 0
    fi
  done
}
