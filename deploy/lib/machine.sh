# A virtual machine whose root is this machine's file system: kernel, first RAM disk, start. Sourced by deploy/test-v2.

# Unpacks the newest image that the package stands for into $machine/kernel-PACKAGE; sets `kernel` and `release`.
fetch_kernel() {
  local package=$1 real
  if [ -z "$(find "$machine/$package/boot" -name 'vmlinuz-*' 2>/dev/null)" ]; then
    real=$(apt-cache depends "$package" 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ {print $2; exit}')
    doing "fetching ${real:=$package}"
    mkdir -p "$machine/download"
    (cd "$machine/download" && rm -f ./*.deb && run_logged kernel apt-get download "$real") || fail "test:v2: no package $real"
    rm -rf "${machine:?}/$package"
    dpkg-deb -x "$machine"/download/*.deb "$machine/$package"
    rm -rf "$machine/download"
    # Debian 13 has everything below usr/.
    [ -d "$machine/$package/lib/modules" ] || ln -s usr/lib "$machine/$package/lib"
    /sbin/depmod -b "$machine/$package" "$(ls "$machine/$package/lib/modules")"
  fi
  kernel=$(echo "$machine/$package"/boot/vmlinuz-*)
  release=$(ls "$machine/$package/lib/modules")
  modules="$machine/$package"
}

# busybox, the modules that reach the root file system, and machine-init.
make_first_ram_disk() {
  local tree file name
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,proc,sys,dev,modules,host,memory,root}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  cp deploy/lib/machine-init "$tree/init"
  for name in virtio_pci virtio_blk virtiofs overlay; do
    # Built in: nothing to load.
    /sbin/modprobe -d "$modules" -S "$release" --show-depends "$name" | awk '$1 == "insmod" {print $2}'
  done | awk '!seen[$0]++' >"$tree/order"
  while read -r file; do
    case $file in
      *.xz) xz -dc "$file" >"$tree/modules/$(basename "$file" .xz)" ;;
      *) cp "$file" "$tree/modules/" ;;
    esac
    echo "insmod /modules/$(basename "$file" .xz)" >>"$tree/load-modules"
  done <"$tree/order"
  (cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$machine/first-ram-disk"
  rm -rf "$tree"
}

# The tests as JavaScript, in $machine/compiled: in the machine, to start what would do it takes each test file half a minute.
compile_tests() {
  doing 'compiling the tests'
  rm -rf "${machine:?}/compiled"
  find packages/*/{src,test} cluster-tests/{src,test} -name '*.ts' -print0 |
    xargs -0 node_modules/.bin/tsc --ignoreConfig --outDir "$machine/compiled" --rootDir . --target es2023 --module nodenext \
      --rewriteRelativeImportExtensions --noCheck --skipLibCheck || fail 'test:v2: the tests can not be compiled'
}

# Sets `work` to a directory that goes when the shell ends, with the machine's disk: a file system with all that overlay wants.
make_disk() {
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  truncate -s 6G "$work/disk"
  mkfs.ext4 -q -F "$work/disk"
}

# Runs deploy/lib/$1 in it until it goes down, boots again or wants its power cut; more arguments are the kernel's. What it writes to the second
# port is kept in $work/outcome. no_timer_check: on a busy machine the emulated timer's ticks come late, and the kernel would panic at its start ("IO-APIC +
# timer doesn't work").
run_machine() {
  local program=$1 shares candidate virtiofsd= files cutter accelerator=tcg,thread=multi
  shift
  [ "${DROVER_V2_KVM:-}" = 1 ] && accelerator=kvm
  for candidate in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd; do [ -x "$candidate" ] && virtiofsd=$candidate; done
  [ -n "$virtiofsd" ] || fail 'test:v2: there is no virtiofsd'
  if [ "$virtiofsd" = /usr/libexec/virtiofsd ]; then shares=(--shared-dir=/ --sandbox=chroot --cache=always); else
    shares=(-o source=/ -o sandbox=chroot -o cache=always -o no_writeback)
  fi
  rm -f "$work/files" "$work/outcome" "$work/pid"
  "$virtiofsd" --socket-path="$work/files" "${shares[@]}" >"$work/virtiofsd.log" 2>&1 &
  files=$!
  # shellcheck disable=SC2064
  trap "kill $files 2>/dev/null || true; rm -rf '$work'" EXIT
  for _ in $(seq 300); do [ -S "$work/files" ] && break; sleep 0.1; done
  doing "starting a machine with $release"
  cut_power &
  cutter=$!
  timeout "$deadline" qemu-system-x86_64 -pidfile "$work/pid" -M q35 -accel "$accelerator" -cpu max -smp 2 -m "$memory" -no-reboot -nodefaults -display none \
    -object "memory-backend-memfd,id=memory,size=$memory,share=on" -numa node,memdev=memory \
    -chardev "socket,id=files,path=$work/files" -device vhost-user-fs-pci,chardev=files,tag=root \
    -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" \
    -chardev stdio,id=console,signal=off -serial chardev:console \
    -chardev "file,id=outcome,path=$work/outcome" -serial chardev:outcome \
    -kernel "$kernel" -initrd "$machine/first-ram-disk" \
    -append "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no_timer_check drover.root=$root drover.modules=$modules drover.program=$program $*" \
    </dev/null | sed -u -e 's/\r$//' -e '/SeaBIOS/d' -e '/^Booting from ROM/d' || grep -qs cut "$work/outcome"
  kill "$files" "$cutter" 2>/dev/null || true
  wait "$files" "$cutter" 2>/dev/null || true
}

# What the machine has written is in its disk, whatever it still has in its memory is lost.
cut_power() {
  until grep -qs cut "$work/outcome"; do
    # Gone with the shell that waits for the machine.
    [ -d "$work" ] || return 0
    sleep 0.1
  done
  kill -KILL "$(cat "$work/pid")"
}

# Whether the machine has said how it went.
has_outcome() { grep -qs '[0-9]' "$work/outcome"; }

# The exit code that it wrote; 1 when it came to none.
outcome() {
  local outcome
  outcome=$(tr -dc 0-9 <"$work/outcome" 2>/dev/null || true)
  return "${outcome:-1}"
}
