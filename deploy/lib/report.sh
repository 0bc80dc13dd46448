# How bootstrap speaks: one line for each thing it does, one warning for each thing that is missing. Sourced, does nothing alone.
# With DROVER_BOOTSTRAP_STDERR=1 all of it goes to stderr, for commands whose stdout is a document.

say() {
  if [ "${DROVER_BOOTSTRAP_STDERR:-}" = 1 ]; then printf '%s\n' "$*" >&2; else printf '%s\n' "$*"; fi
}

doing() { say "bootstrap: $*"; }

warn() { printf 'bootstrap: missing: %s\n' "$*" >&2; }

fail() {
  printf 'bootstrap: %s\n' "$*" >&2
  exit 1
}

# run_logged NAME COMMAND…: its output goes to a log; its begin and end are shown when it fails.
run_logged() {
  local name=$1 log started
  shift
  log="$state/log/$name.log"
  mkdir -p "$state/log"
  started=$SECONDS
  if "$@" >"$log" 2>&1 </dev/null; then
    doing "  done in $((SECONDS - started)) s"
    return 0
  fi
  printf 'bootstrap: failed: %s\n' "$*" >&2
  if [ "$(wc -l <"$log")" -le 40 ]; then
    sed 's/^/  | /' "$log" >&2
  else
    { head -n 15 "$log"; echo …; tail -n 25 "$log"; } | sed 's/^/  | /' >&2
  fi
  printf 'bootstrap: the whole log: %s\n' "$log" >&2
  return 1
}
