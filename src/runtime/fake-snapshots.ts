import {createHash} from 'node:crypto'
import type {FoundSnapshot} from '../contract/agent-protocol.ts'
import {RuntimeError, type RuntimeSnapshots} from './driver.ts'
import type {FakeHost, FakeInstance, FakeSnapshot} from './fake-host.ts'

/** Snapshots of simulated containers: their files, in memory. `look` throws no_container. */
export function fakeSnapshots(host: FakeHost, look: (containerId: string) => FakeInstance): RuntimeSnapshots {
  return {
    async create(containerId, {instanceId, snapshotId}) {
      host.obey('snapshots')
      const known = host.snapshots.get(snapshotId)
      if (known) return found(known)
      const imageId = `sha256:${createHash('sha256').update(snapshotId).digest('hex')}`
      const made = {imageId, instanceId, files: new Map(look(containerId).files)}
      host.snapshots.set(snapshotId, made)
      return found(made)
    },
    async find({snapshotId}) {
      host.obey('snapshots')
      const known = host.snapshots.get(snapshotId)
      return known && found(known)
    },
    async push({snapshotId}, image) {
      host.obey('snapshots')
      const known = host.snapshots.get(snapshotId)
      if (!known) throw new RuntimeError('image_missing', 'The snapshot is not here.')
      host.registry.set(image, known.files)
      return {digest: `sha256:${createHash('sha256').update(`${image} ${known.imageId}`).digest('hex')}`}
    },
    async remove({snapshotId}) {
      host.obey('snapshots')
      const known = host.snapshots.get(snapshotId)
      if (known && host.all().some(({spec}) => spec.image === known.imageId))
        throw new RuntimeError('failed', 'A container is made of the snapshot.')
      host.snapshots.delete(snapshotId)
    },
  }
}

/** The files that a container of this image begins with. Throws image_missing for a snapshot of another instance. */
export function filesOfImage(host: FakeHost, image: string, instanceId: string | undefined): FakeSnapshot['files'] {
  if (!image.startsWith('sha256:')) return host.registry.get(image) ?? new Map()
  const known = [...host.snapshots.values()].find(one => one.imageId === image && one.instanceId === instanceId)
  if (!known) throw new RuntimeError('image_missing', `Image ${image} is not here.`)
  return known.files
}

function found({imageId, files}: FakeSnapshot): FoundSnapshot {
  return {imageId, sizeBytes: [...files.values()].reduce((sum, {content}) => sum + content.length, 0)}
}
