#!/bin/bash
# Debian's own kernel, and the start of the machine that boot.sh boots with it: DIR/vmlinuz and DIR/initrd.
#
#   image.sh DIR
set -euo pipefail
# In the order in which they are loaded; what each needs comes with it.
modules='virtio_pci virtio_blk virtio_net virtiofs overlay loop dm_mod dm_snapshot dm_thin_pool veth nfsd nfsv4'
work=$(mktemp -d "$1.XXXXXX")
trap 'rm -rf "$work"' EXIT

package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends/{print $2; exit}'; }
[ -n "$(package)" ] || apt-get -qq update
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$(package)")
dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" ./boot ./lib/modules
version=$(ls "$work/lib/modules")
busybox depmod -b "$work" "$version" 2>/dev/null || true

tree=$work/tree
mkdir -p "$tree"/{bin,modules,proc,sys,dev,low,up,over,new} "$work/image"
cp /bin/busybox "$tree/bin/"
for name in sh mount mkdir cp chmod switch_root insmod; do ln -s busybox "$tree/bin/$name"; done
cd "$work/lib/modules/$version"
for name in $modules; do
  line=$(grep -E "/${name//_/[-_]}\.ko[:.]" modules.dep) || continue # built into the kernel
  # What it needs stands behind it, the last first.
  tr -d : <<< "$line" | tr ' ' '\n' | tac
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$tree/modules/"
  basename "$file" >> "$tree/modules/order"
done
cat > "$tree/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
# Waiting for all processors to have passed by takes most of the time of a mount; there is one.
echo 1 > /sys/kernel/rcu_expedited
while read -r module; do insmod "/modules/$module"; done < /modules/order
# The root is ext4, which NFS can serve; the folders of programs are those of the host, and changes of them are forgotten.
mount -t ext4 /dev/vda /new
mount -t virtiofs -o ro root /low; mount -t tmpfs t /up; mkdir /up/u /up/w
mount -t overlay -o lowerdir=/low,upperdir=/up/u,workdir=/up/w o /over
cd /over
for name in *; do
  case $name in boot|dev|mnt|proc|run|srv|sys|tmp|var|lost+found) continue ;; esac
  if [ -L "$name" ]; then cp -P "$name" /new/; elif [ -d "$name" ]; then mkdir "/new/$name"; mount --bind "$name" "/new/$name"; fi
done
cd /new
mkdir -p dev proc sys run tmp srv mnt/shared mnt/host var/tmp var/lib/nfs/v4recovery var/lib/nfs/rpc_pipefs var/lib/nfs/nfsdcld
chmod 1777 tmp var/tmp
mount -t virtiofs shared mnt/shared
# All of the host, as it was: its /tmp may hold what is tested.
mount --bind /over mnt/host
for name in proc sys dev; do mount --move "/$name" "$name"; done
mkdir -p dev/pts dev/shm
mount -t devpts x dev/pts; mount -t tmpfs x dev/shm; mount -t tmpfs x run
exec switch_root /new /bin/sh /mnt/shared/run
INIT
chmod +x "$tree/init"
cp "$work/boot/vmlinuz-$version" "$work/image/vmlinuz"
(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > "$work/image/initrd"
(cd "$work/image" && sha256sum vmlinuz initrd > sums)
rm -rf "$1"
mv "$work/image" "$1"
