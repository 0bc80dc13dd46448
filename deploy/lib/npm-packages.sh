# Node itself and the npm packages. Sourced by deploy/bootstrap; `npm ci` runs only when node_modules is out of step with
# package-lock.json, which npm's own record of what it installed (node_modules/.package-lock.json) tells.

readonly least_node_major=20

check_node() {
  command -v node >/dev/null || fail "Node.js $least_node_major or newer is needed, and there is no node in PATH"
  command -v npm >/dev/null || fail "npm is needed (it comes with Node.js), and there is none in PATH"
  local version
  version=$(node -p process.versions.node)
  [ "${version%%.*}" -ge $least_node_major ] ||
    fail "Node.js $least_node_major or newer is needed; $(command -v node) is $version"
}

install_npm_packages() {
  local reason
  reason=$(node "$root/deploy/lib/npm-in-step.js" "$root") && return 0
  [ -w "$root" ] || fail "npm packages: $reason, and $root is not writable for $(id -un 2>/dev/null || id -u)"
  doing "npm ci ($reason)"
  (cd "$root" && run_logged npm-ci npm ci --no-audit --no-fund --loglevel=error) || exit 1
}
