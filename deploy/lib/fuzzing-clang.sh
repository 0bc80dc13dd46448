# A clang that links libFuzzer and the sanitizers. Sourced by deploy/fuzz. Nothing else needs clang, so it is in no list of packages:
# who fuzzes gets it then.

# Prints the C++ compiler, the newest one first.
fuzzing_clang() {
  local compiler program
  for compiler in $(compgen -c clang++ | sort -uVr); do
    program=$(mktemp)
    if printf 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }' |
      "$compiler" -x c++ -fsanitize=fuzzer,address,undefined - -o "$program" 2>/dev/null; then
      rm -f "$program"
      command -v "$compiler"
      return 0
    fi
    rm -f "$program"
  done
  return 1
}

# Debian's clang, and the runtime library that belongs to its version.
install_fuzzing_clang() {
  local version
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    warn 'clang with libFuzzer: only root can install it, with apt-get install clang'
    return 1
  fi
  doing 'apt-get install clang (with libFuzzer)' >&2
  run_logged apt-update apt-get -o DPkg::Lock::Timeout=120 update || true
  DEBIAN_FRONTEND=noninteractive run_logged apt-clang apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends clang || return 1
  version=$(clang -dumpversion | cut -d. -f1)
  DEBIAN_FRONTEND=noninteractive run_logged apt-clang-rt \
    apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "libclang-rt-$version-dev"
}
