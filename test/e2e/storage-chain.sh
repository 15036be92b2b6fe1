#!/bin/bash
# From a bare disk to a site that came back from its backup, as an operator types it.
#   A, B           two nodes; A has the disk and a Docker Engine
#   DISK, POOL     a free device of A, and a name for the pool
#   NETWORK        where B is, as the network of the export
#   KERNEL_NFS     yes, where B's kernel can mount it
#   ENDPOINT, BUCKET, ACCESS_KEY, SECRET_FILE
set -euo pipefail
say() { echo "— $*"; }
inside="--image gpuctl/busybox:1 --volume data:/data --wait --for completed"
content() { (cd "/$POOL/data" && find . -printf '%P %y %m %U:%G\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

say 'A disk becomes a pool, shared with the other node'
gpuctl storage device list --node "$A" | grep "$DISK"
gpuctl storage pool create "$POOL" --node "$A" --device "$DISK" --wait
gpuctl storage pool share "$POOL" --network "$NETWORK" --no-root-squash --yes
if [ "$KERNEL_NFS" = yes ]; then
  gpuctl storage pool mount "$POOL" --node "$B" --wait
else
  gpuctl storage pool mount "$POOL" --node "$B" --wait 2> refused && exit 1
  grep 'cannot mount NFS' refused
  [ -z "$(gpuctl storage pool mounts)" ]
fi

say 'A site with a quota stops the instance that writes more'
gpuctl node quota set "$A" 1GB
gpuctl site create data --node "$A" --pool "$POOL" --quota 24MiB --wait
gpuctl claim submit --name small $inside -- sh -c 'umask 027; mkdir /data/folder; echo kept > /data/folder/note'
gpuctl claim submit --name fill $inside -- sh -c 'dd if=/dev/urandom of=/data/big bs=64k conv=fsync 2>&1; echo code $?' || true
gpuctl logs fill | tee filled
grep -iE 'quota exceeded|no space left' filled
grep 'code 1' filled
content > written

say 'It is kept as a snapshot and in a bucket'
gpuctl site snapshot create data full
gpuctl backup target create vault --bucket "$BUCKET" --endpoint "$ENDPOINT" --access-key "$ACCESS_KEY" --secret-file "$SECRET_FILE"
gpuctl backup create data --to vault --wait
backup=$(gpuctl backup list --site data -q)
gpuctl backup verify "$backup" --wait

say 'Site, mount and pool are destroyed'
gpuctl site delete data --confirm data --wait
[ "$KERNEL_NFS" != yes ] || gpuctl storage pool unmount "$POOL" --node "$B" --wait
gpuctl storage pool unshare "$POOL"
gpuctl storage pool delete "$POOL" --confirm "$POOL" --wait
[ -z "$(gpuctl storage pool list)" ]
[ ! -e "/$POOL/data" ]

say 'All of it comes back, byte for byte'
gpuctl storage pool create "$POOL" --node "$A" --device "$DISK" --wait
gpuctl backup restore "$backup" --site data --pool "$POOL" --wait
content > restored
diff written restored
gpuctl claim submit --name look $inside -- sh -c 'sha256sum /data/big; cat /data/folder/note'
gpuctl logs look | tee looked
grep kept looked
grep "$(awk '$2 == "./big" {print $1}' written)" looked
gpuctl site get data | grep -E '24 MiB \((enforced|pending)\)' # pending: here it takes more room than it may
gpuctl claim submit --name more $inside -- sh -c 'dd if=/dev/urandom of=/data/more bs=1M count=8 conv=fsync 2>&1; true'
gpuctl logs more | grep -iE 'quota exceeded|no space left'
say 'Done'
