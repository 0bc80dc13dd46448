# The parts that are compiled: the engine, the raft addon, the fuzzers' replay and the small programs of images and laboratories. Sourced by deploy/bootstrap.
# A build is repeated only when a hash over its sources, its tools and Node's major version differs from the last one's.

# Each returns 0 when its product is there and current.
build_engine() {
  build_with_cmake engine "$root/native/engine/build/drover-engine" \
    "pkg:libseccomp header:nlohmann/json.hpp pkg:libprotobuf-c tool:protoc-c"
}

# The same with sanitizers, beside it; only `npm run test:sanitized` wants it.
build_sanitized_engine() {
  local source="$root/native/engine" folder="$root/native/engine/build/sanitized" stamp
  stamp=$(hash_of "$(c++ --version | head -n1)" "$source")
  is_current sanitized-engine "$stamp" "$folder/drover-engine" && return 0
  doing "building native/engine with sanitizers"
  run_logged sanitized-engine cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDROVER_SANITIZE=ON || return 1
  run_logged sanitized-engine cmake --build "$folder" || return 1
  remember sanitized-engine "$stamp"
}

build_raft_addon() {
  build_with_cmake raft "$root/native/raft/build/drover_raft.node" "pkg:raft"
}

# Runs the corpus of native/fuzz with sanitizers; only tests want it.
build_fuzz_replay() {
  local parsers
  parsers=$(hash_of "$(hash_of '' "$root/native/engine")" "$root/native/raft")
  build_with_cmake fuzz "$root/native/fuzz/build/fuzz-replay" \
    "header:nlohmann/json.hpp pkg:libprotobuf-c tool:protoc-c pkg:raft pkg:libuv" "$parsers"
}

build_pulse() {
  build_c_program pulse "$root/native/image-tools/pulse.c" "in busybox images" -static
}

# Only tests and benchmarks with real containers need them.
build_lab_tools() {
  build_c_program pulse-client "$root/native/lab-tools/pulse-client.c" "of laboratories" &&
    build_c_program core-pace "$root/native/lab-tools/core-pace.c" "of benchmarks"
}

# The probes of the compatibility matrix; only tests need them.
build_migration_probes() {
  local folder="$root/native/migration-probes" compiler stamp
  compiler=$(command -v cc) || { warn "migration probes: a C compiler (package build-essential)"; return 1; }
  stamp=$(hash_of "$compiler" "$folder")
  is_current migration-probes "$stamp" "$folder/build/probe" && return 0
  doing "compiling native/migration-probes"
  mkdir -p "$folder/build"
  local flags=(-std=gnu11 -static -O1 -Wall -Wextra)
  # Other machines than x86-64 have no 32-bit programs of this kind.
  if "$compiler" "${flags[@]}" -m32 -ffreestanding -nostdlib -fno-stack-protector -fno-pie -no-pie \
    -o "$folder/build/program-32" "$folder/src/compat/program.c" 2>/dev/null; then
    flags+=("-DPROGRAM_32=\"$folder/build/program-32\"")
  fi
  run_logged migration-probes "$compiler" "${flags[@]}" -D_GNU_SOURCE -pthread -o "$folder/build/probe" "$folder"/src/*.c || return 1
  remember migration-probes "$stamp"
}

# build_c_program NAME SOURCE PURPOSE [FLAG…]: one file, into the build folder beside it.
build_c_program() {
  local name=$1 source=$2 purpose=$3 product compiler stamp
  shift 3
  product="$(dirname "$source")/build/$name"
  [ -f "$source" ] || { warn "$source"; return 1; }
  compiler=$(command -v cc) || { warn "$name ($purpose): a C compiler (package build-essential)"; return 1; }
  stamp=$(hash_of "$compiler $*" "$source")
  is_current "$name" "$stamp" "$product" && return 0
  doing "compiling ${source#"$root"/}"
  mkdir -p "$(dirname "$product")"
  run_logged "$name" "$compiler" -std=c11 -O2 -Wall -Wextra "$@" -o "$product" "$source" || return 1
  remember "$name" "$stamp"
}

# build_with_cmake NAME PRODUCT NEEDS [HASH]: the hash is over what else it is made of.
build_with_cmake() {
  local name=$1 product=$2 needs=$3 source="$root/native/$1" stamp
  [ -f "$source/CMakeLists.txt" ] || { warn "$source/CMakeLists.txt"; return 1; }
  stamp=$(hash_of "$(node -p process.versions.modules) $(c++ --version 2>/dev/null | head -n1) ${4:-}" "$source")
  is_current "$name" "$stamp" "$product" && return 0
  has_build_tools "native/$name" "$needs" || return 1
  doing "building native/$name"
  forget_foreign_build_folder "$source"
  run_logged "$name" build_steps "$source" || return 1
  [ -f "$product" ] || { warn "$product, although its build ended well"; return 1; }
  remember "$name" "$stamp"
}

build_steps() {
  cmake -S "$1" -B "$1/build" -G Ninja -DCMAKE_BUILD_TYPE=Release && cmake --build "$1/build"
}

# A copied or moved checkout leaves a CMake cache that points at the old place; a build by hand, one for another generator.
forget_foreign_build_folder() {
  local cache="$1/build/CMakeCache.txt"
  [ -f "$cache" ] || return 0
  if grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$1" "$cache" && grep -qxF 'CMAKE_GENERATOR:INTERNAL=Ninja' "$cache"; then return 0; fi
  rm -rf "$1/build"
}

has_build_tools() {
  local part=$1 need missing=
  for need in tool:cmake tool:ninja tool:c++ tool:pkg-config $2; do
    case $need in
      tool:*) command -v "${need#*:}" >/dev/null || missing="$missing ${need#*:}" ;;
      pkg:*) pkg-config --exists "${need#*:}" 2>/dev/null || missing="$missing ${need#*:}" ;;
      header:*) [ -e "/usr/include/${need#*:}" ] || [ -e "/usr/local/include/${need#*:}" ] || missing="$missing ${need#*:}" ;;
    esac
  done
  [ -z "$missing" ] && return 0
  warn "to build $part:$missing"
  return 1
}

# hash_of TEXT PATH: over the text and every file below the path, its build folder excepted.
hash_of() {
  { printf '%s\n' "$1"; cd "$root" && find "${2#"$root"/}" -type f -not -path '*/build/*' -print0 | sort -z | xargs -0 sha256sum; } |
    sha256sum | cut -d' ' -f1
}

is_current() { [ -e "$3" ] && [ "$(cat "$state/stamp/$1" 2>/dev/null)" = "$2" ]; }

remember() {
  mkdir -p "$state/stamp"
  printf '%s\n' "$2" >"$state/stamp/$1"
}
