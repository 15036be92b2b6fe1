#!/bin/bash
# Boots a small machine under QEMU that has this machine's programs and a kernel of its own, with device-mapper, NFS server
# and NFS client, and runs a command in it. What the command says is printed; its exit code is the one of this script,
# 125 when the machine did not come to its end. Kernel and start are made once and kept in the user's cache folder.
#
#   boot.sh SHARED COMMAND      SHARED is /mnt/shared in it, for writing
#   GPUCTL_VM_NETWORK=yes       what listens on 127.0.0.1 here is at 10.0.2.2 in it
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
shared=$1 command=$2
cache=${GPUCTL_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpuctl}
image=$cache/vm-$(sha256sum < "$here/image.sh" | cut -c1-16)

mkdir -p "$cache"
(
  flock 9
  (cd "$image" && sha256sum --quiet -c sums) > /dev/null 2>&1 || "$here/image.sh" "$image"
) 9> "$cache/vm.lock"

work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 143' INT TERM

cat > "$shared/run" <<RUN
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb GPUCTL_IN_VM=1
busybox ip link set lo up; busybox hostname machine
if busybox ip link set eth0 up 2> /dev/null; then busybox ip address add 10.0.2.15/24 dev eth0; fi
( $command ) > /mnt/shared/out 2>&1
echo \$? > /mnt/shared/code
sync; echo o > /proc/sysrq-trigger; sleep 60
RUN
: > "$shared/out"
truncate -s 1G "$work/disk"
mkfs.ext4 -q -F -m 0 -O ^has_journal "$work/disk"

# Each ends with this script, also when that is killed.
serve() {
  setpriv --pdeathsig TERM /usr/lib/qemu/virtiofsd --socket-path="$work/$1.sock" -o "source=$2" -o "cache=$3" -o sandbox=chroot \
    --thread-pool-size=2 > "$work/$1.log" 2>&1 &
  children+=($!)
  for _ in $(seq 200); do [ -S "$work/$1.sock" ] && return; sleep 0.05; done
  cat "$work/$1.log" >&2
  return 1
}
serve root / always
serve shared "$shared" auto
# Where the processor lets it, as the host; else emulated, without what is dear there: a fifth level of page tables, and
# clearing and copying byte by byte.
accelerated=(-accel tcg -cpu max,la57=off,-erms,-fsrm)
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then accelerated=(-accel kvm -cpu host); fi
nic=none
[ "${GPUCTL_VM_NETWORK:-}" != yes ] || nic=user,model=virtio-net-pci,ipv6=off
setpriv --pdeathsig TERM timeout "${GPUCTL_VM_SECONDS:-480}" \
  qemu-system-x86_64 -M pc,memory-backend=m "${accelerated[@]}" -smp 1 -m 1024 \
  -object memory-backend-memfd,id=m,size=1024M,share=on -nodefaults -no-user-config -display none -no-reboot -nic "$nic" \
  -kernel "$image/vmlinuz" -initrd "$image/initrd" -serial "file:$work/console" \
  -append "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable random.trust_cpu=on" \
  -chardev "socket,id=c0,path=$work/root.sock" -device vhost-user-fs-pci,chardev=c0,tag=root \
  -chardev "socket,id=c1,path=$work/shared.sock" -device vhost-user-fs-pci,chardev=c1,tag=shared \
  -drive "file=$work/disk,format=raw,if=none,id=d0,cache=unsafe" -device virtio-blk-pci,drive=d0 < /dev/null &
machine=$!
children+=("$machine")
tail -n +1 -f --pid="$machine" "$shared/out" &
said=$!
wait "$machine" || true
wait "$said" || true
if ! [ -s "$shared/code" ]; then
  echo "The machine did not come to its end; the last of its console:" >&2
  tail -n 30 "$work/console" >&2
  exit 125
fi
exit "$(cat "$shared/code")"
