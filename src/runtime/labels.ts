/** Labels that say all about a container of ours: the fleet's containers can rebuild the store (architecture, idea 4). */
export const label = {
  server: 'gpuctl.server',
  node: 'gpuctl.node',
  claim: 'gpuctl.claim',
  instance: 'gpuctl.instance',
  allocation: 'gpuctl.allocation',
  epoch: 'gpuctl.epoch',
  gpus: 'gpuctl.gpus',
  owner: 'gpuctl.owner',
  name: 'gpuctl.name',
  /** Of an image: it is a snapshot of the instance in its label `instance`. */
  snapshot: 'gpuctl.snapshot',
  /** Of a snapshot: the image that its container was made of. */
  base: 'gpuctl.snapshot-base',
  /** Count of the restore that the container came of. */
  restored: 'gpuctl.restored',
  /** Prefix of the user's own labels. */
  user: 'gpuctl.user.',
} as const
