#!/bin/bash
# Boots Debian's own kernel under QEMU on top of this machine's file tree (read-only; changes go to memory) and runs a
# command in it: a second kernel with device-mapper, NFS server and NFS client, and all programs that are installed here.
# The kernel package is fetched once and kept in $GPUCTL_VM_CACHE.
#
#   boot.sh SHARED DISK COMMAND...     SHARED is /mnt/shared in it, for writing; DISK a file that is its /dev/vda
set -euo pipefail
cache=${GPUCTL_VM_CACHE:-/var/cache/gpuctl-vm}
shared=$1 disk=$2
shift 2
initrd=$cache/initrd-$(md5sum "$0" | cut -c1-8)
modules="virtio_pci virtio_blk virtiofs overlay"

fetch_kernel() {
  local package version file
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends/{print $2}')
  (cd "$cache" && apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb root && rm -f "$package"_*.deb)
  version=$(ls "$cache/root/lib/modules")
  cp "$cache/root/boot/vmlinuz-$version" "$cache/vmlinuz"
  busybox depmod -b "$cache/root" "$version" 2>/dev/null || true
}

make_initrd() {
  local tree=$cache/initrd.d version name file
  version=$(ls "$cache/root/lib/modules")
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,proc,sys,dev,low,up,new} "$tree/lib/modules/$version"
  cp /bin/busybox "$tree/bin/"
  for name in sh mount modprobe mkdir switch_root insmod; do ln -s busybox "$tree/bin/$name"; done
  cd "$cache/root/lib/modules/$version"
  for name in $modules; do { grep -E "/$name\.ko[:.]" modules.dep || true; } | tr -d : | tr ' ' '\n'; done | sort -u |
    while read -r file; do
      mkdir -p "$tree/lib/modules/$version/$(dirname "$file")"
      cp "$file" "$tree/lib/modules/$version/$file"
    done
  cp modules.dep "$tree/lib/modules/$version/"
  cat > "$tree/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for m in virtio_pci virtio_blk virtiofs overlay; do modprobe $m 2>/dev/null; done
mount -t virtiofs -o ro root /low; mount -t tmpfs t /up; mkdir /up/u /up/w
mount -t overlay -o lowerdir=/low,upperdir=/up/u,workdir=/up/w o /new
mkdir -p /new/mnt/shared; mount -t virtiofs shared /new/mnt/shared
mount --move /proc /new/proc; mount --move /sys /new/sys; mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts x /new/dev/pts; mount -t tmpfs x /new/dev/shm; mount -t tmpfs x /new/run
exec switch_root /new /bin/sh /mnt/shared/.vm-run
INIT
  chmod +x "$tree/init"
  (cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > "$initrd.new"
  mv "$initrd.new" "$initrd"
  rm -rf "$tree"
}

mkdir -p "$cache"
(
  flock 9
  [ -f "$cache/vmlinuz" ] || fetch_kernel; [ -f "$initrd" ] || make_initrd
) 9> "$cache/lock"

work=$(mktemp -d)
trap 'kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$work"' EXIT
cat > "$shared/.vm-run" <<RUN
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb GPUCTL_IN_VM=1
mkdir -p /lib/modules /run/lock/lvm /run/lvm
mount --bind $cache/root/lib/modules /lib/modules
busybox ip link set lo up
for m in dm_mod dm_snapshot dm_thin_pool ext4 loop nfsd nfsv4; do busybox modprobe \$m; done
( $* ) > /mnt/shared/out 2>&1
echo \$? > /mnt/shared/code
sync; echo o > /proc/sysrq-trigger; sleep 60
RUN
serve() {
  /usr/lib/qemu/virtiofsd --socket-path="$work/$1.sock" -o "source=$2" -o cache=auto -o sandbox=chroot --thread-pool-size=2 \
    > "$work/$1.log" 2>&1 &
  echo $! > "$work/$1.pid"
  for _ in $(seq 100); do [ -S "$work/$1.sock" ] && return; sleep 0.05; done
  cat "$work/$1.log" >&2
  return 1
}
serve root /
serve shared "$shared"
timeout "${GPUCTL_VM_SECONDS:-580}" qemu-system-x86_64 -M pc,memory-backend=m -accel tcg -cpu max -smp 2 -m 1536 \
  -object memory-backend-memfd,id=m,size=1536M,share=on -nodefaults -no-user-config -display none -no-reboot -nic none \
  -kernel "$cache/vmlinuz" -initrd "$initrd" -serial "file:$work/console" \
  -append "console=ttyS0 quiet panic=-1 mitigations=off tsc=unstable random.trust_cpu=on" \
  -chardev "socket,id=c0,path=$work/root.sock" -device vhost-user-fs-pci,chardev=c0,tag=root \
  -chardev "socket,id=c1,path=$work/shared.sock" -device vhost-user-fs-pci,chardev=c1,tag=shared \
  -drive "file=$disk,format=raw,if=none,id=d0,cache=unsafe" -device virtio-blk-pci,drive=d0 < /dev/null || {
  tail -n 20 "$work/console" >&2
  cat "$shared/out" >&2 || true
  exit 125
}
cat "$shared/out"
exit "$(cat "$shared/code")"
