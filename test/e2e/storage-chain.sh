#!/bin/bash
# From a bare disk to a site that came back from its backup, as an operator types it.
#   A, B           two nodes; A has the disk
#   ON_B           what runs a command of this machine as B would
#   DISK, POOL     a free device of A, and a name for the pool
#   TYPE, PLACE    its type, and the folder where it then stands
#   NETWORK        where B is, as the network of the export
#   KERNEL_NFS     yes, where A's kernel serves NFS and B's can mount it
#   INSTANCE, AT   flags of instances on A, and where they find the site: a container mounts it, a process has it where it stands
#   VAULT          where backups go: flags of the target
set -euo pipefail
say() { echo "— $SECONDS s: $*"; }
site=$PLACE/data far=/mnt/gpuctl/$POOL
content() { (cd "$site" && find . -printf '%P %y %m %U:%G\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

# NAME COMMAND: in an instance on A that has the site; prints what it says.
inside() {
  gpuctl claim submit --name "$1" --node "$A" $INSTANCE --wait --for completed -- sh -c "$2" > ended
  gpuctl logs "$1"
}

say 'A disk becomes a pool'
gpuctl storage device list --node "$A" | grep "$DISK"
gpuctl storage pool create "$POOL" --node "$A" --device "$DISK" --type "$TYPE" --wait

if [ "$KERNEL_NFS" = yes ]; then
  say 'It is shared with the other node, which writes to it'
  gpuctl storage pool share "$POOL" --network "$NETWORK" --no-root-squash --yes
  gpuctl storage pool mount "$POOL" --node "$B" --wait
  $ON_B sh -c "echo 'from B' > '$far/note'"
  grep 'from B' "$PLACE/note"
else
  say 'What nobody would see is not shared'
  gpuctl storage pool share "$POOL" --network "$NETWORK" --no-root-squash --yes 2> refused && exit 1
  grep 'No NFS server answers' refused
  gpuctl storage pool mount "$POOL" --node "$B" --server-ip 127.0.0.1 --export "/$POOL" --wait 2> refused && exit 1
  grep 'cannot mount NFS' refused
  [ -z "$(gpuctl storage pool mounts)" ]
fi

say 'A site with a quota stops who writes more'
gpuctl node quota set "$A" 1GB
gpuctl site create data --node "$A" --pool "$POOL" --quota 24MiB --wait
inside small "umask 027; mkdir $AT/folder; echo kept > $AT/folder/note"
inside fill "dd if=/dev/urandom of=$AT/big bs=64k conv=fsync 2>&1; echo code \$?" | tee filled
grep -iE 'quota exceeded|no space left' filled
grep 'code 1' filled
content > written
[ "$KERNEL_NFS" != yes ] || $ON_B cmp "$far/data/big" "$site/big"

say 'It is kept as a snapshot and in a vault'
gpuctl site snapshot create data full
gpuctl backup target create vault $VAULT
gpuctl backup create data --to vault --wait
backup=$(gpuctl backup list --site data -q)
gpuctl backup verify "$backup" --wait

say 'Site, mount and pool are destroyed'
gpuctl site delete data --confirm data --wait
[ "$KERNEL_NFS" != yes ] || gpuctl storage pool unmount "$POOL" --node "$B" --wait
gpuctl storage pool unshare "$POOL"
gpuctl storage pool delete "$POOL" --confirm "$POOL" --wait
[ -z "$(gpuctl storage pool list)" ]
[ ! -e "$site" ]

say 'All of it comes back, byte for byte'
gpuctl storage pool create "$POOL" --node "$A" --device "$DISK" --type "$TYPE" --wait
gpuctl backup restore "$backup" --site data --pool "$POOL" --wait
content > restored
diff written restored
inside look "sha256sum $AT/big; cat $AT/folder/note" | tee looked
grep kept looked
grep "$(awk '$2 == "./big" {print $1}' written)" looked
gpuctl site get data | grep -E '24 MiB \((enforced|pending)\)' # pending: here it takes more room than it may
inside more "dd if=/dev/urandom of=$AT/more bs=1M count=8 conv=fsync 2>&1; true" | grep -iE 'quota exceeded|no space left'
say 'Done'
