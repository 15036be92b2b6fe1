import type {ContainerInspectInfo} from 'dockerode'
import type {FoundSnapshot, SnapshotName} from '../contract/agent-protocol.ts'
import {sleep, systemClock} from '../platform/clock.ts'
import {type DockerEngine, pieces} from './docker-engine.ts'
import {commitContainer, inspectImage, removeImage} from './docker-image-calls.ts'
import {pushSnapshot, tidyPush} from './docker-push.ts'
import {RuntimeError, type RuntimeSnapshots} from './driver.ts'
import {label} from './labels.ts'

/** All files that a container has written are read and packed. */
const commitWithinMs = 30 * 60_000
/** Of who waits for a removal; it is asked for again. */
const removedWithinMs = 30_000
const lookAgainMs = 200
/** Of the tags, so that no clean-up of nameless images takes them; never the name of anything in a registry. */
const repository = 'gpuctl.invalid/snapshot'

interface SnapshotParts {
  engine: DockerEngine
  /** Labels of what belongs to this server and node. */
  ours: Readonly<Record<string, string>>
  /** Throws no_container. */
  look: (containerId: string) => Promise<ContainerInspectInfo>
  /** Folder of what `docker login` kept. */
  logins: string
}

export function dockerSnapshots({engine, ours, look, logins}: SnapshotParts): RuntimeSnapshots {
  const marks = ({instanceId, snapshotId}: SnapshotName) => ({
    ...ours,
    [label.instance]: checked(instanceId),
    [label.snapshot]: checked(snapshotId),
  })
  const filter = (wanted: Record<string, string>) => Object.entries(wanted).map(([key, value]) => `${key}=${value}`)
  const images = (name: SnapshotName) =>
    engine.call('Looking for the snapshot', docker => docker.listImages({filters: {label: filter(marks(name))}}))

  async function find(name: SnapshotName): Promise<FoundSnapshot | undefined> {
    const tag = `${repository}:${name.snapshotId}`
    const found = (await images(name)).find(({RepoTags}) => RepoTags?.includes(tag))
    if (!found) return undefined
    const image = await inspectImage(engine, found.Id)
    const base = image?.Config?.Labels?.[label.base]
    const below = base ? ((await inspectImage(engine, base))?.Size ?? 0) : 0
    return {imageId: found.Id, sizeBytes: Math.max(0, (image?.Size ?? found.Size) - below)}
  }

  return {
    find,
    async create(containerId, name) {
      const known = await find(name)
      if (known) return known
      const {Id, Image} = await look(containerId)
      // An agent that died may have asked for it.
      await untilCommitted(engine, Id, commitWithinMs)
      const standing = await find(name)
      if (standing) return standing
      const labels = Object.entries({...marks(name), [label.base]: Image})
      const changes = labels.map(([key, value]) => `LABEL ${key}=${value}`)
      const query = {container: Id, repo: repository, tag: name.snapshotId, pause: true, changes}
      await commitContainer(engine, 'Keeping the files of the container', query, commitWithinMs)
      const made = await find(name)
      if (!made) throw new RuntimeError('failed', 'The engine kept no image of the container.')
      return made
    },
    async push(name, image, cut) {
      const found = await find(name)
      if (!found) throw new RuntimeError('image_missing', 'The snapshot is not here.')
      return pushSnapshot(engine, {snapshotId: name.snapshotId, imageId: found.imageId, image, logins, cut})
    },
    async remove(name) {
      const {[label.instance]: instance} = marks(name)
      await tidyPush(engine, name.snapshotId)
      const mine = {...ours, [label.instance]: instance ?? ''}
      const paused = await engine.call('Looking for containers that stand still', docker =>
        docker.listContainers({filters: {label: filter(mine), status: ['paused']}}),
      )
      for (const {Id} of paused) await untilCommitted(engine, Id, removedWithinMs)
      for (const {Id, RepoTags} of await images(name)) {
        const names = (RepoTags ?? []).filter(tag => tag !== '<none>:<none>')
        for (const one of names.length > 0 ? names : [Id]) await removeImage(engine, one)
      }
    },
  }
}

/** Throws image_missing for a snapshot of another instance: whoever guesses its name shall find nothing. */
export async function refuseForeign(
  engine: DockerEngine,
  image: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const marks = (await inspectImage(engine, image))?.Config?.Labels
  if (!marks?.[label.snapshot] || marks[label.instance] === labels[label.instance]) return
  throw new RuntimeError('image_missing', `Image ${image} is not here.`)
}

/**
 * While a container is committed it is paused, and the engine goes on with that also when who asked is gone: what comes of
 * it is there before the container goes on. One that was paused in a life of the engine that is over is let go on here.
 */
async function untilCommitted(engine: DockerEngine, id: string, withinMs: number): Promise<void> {
  const untilMs = systemClock.monotonic() + withinMs
  for (;;) {
    const {State} = await engine.call('Looking at the container', docker => docker.getContainer(id).inspect())
    if (!State.Paused) return
    if (!(await hasPaused(engine, id)))
      return engine.call('Letting the container go on', docker => docker.getContainer(id).unpause())
    if (systemClock.monotonic() >= untilMs)
      throw new RuntimeError('failed', 'A snapshot of the container is being made.')
    await sleep(systemClock, lookAgainMs)
  }
}

/** Whether this life of the engine, which remembers its last events, has paused the container. */
async function hasPaused(engine: DockerEngine, id: string): Promise<boolean> {
  const doing = 'Looking at what the engine did'
  const {SystemTime} = await engine.call(doing, docker => docker.info())
  const until = Math.ceil(Date.parse(SystemTime) / 1000)
  const filters = {container: [id], event: ['pause']}
  const stop = new AbortController()
  const stream = await engine.stream(doing, {path: '/events', query: {since: 0, until, filters}}, stop.signal)
  try {
    for await (const _ of pieces(stream, doing, stop.signal)) return true
    return false
  } finally {
    stop.abort()
  }
}

/** It goes into filters and labels. */
function checked(id: string): string {
  if (/^[\w-]{1,64}$/.test(id)) return id
  throw new RuntimeError('invalid', 'That is not the id of a snapshot.')
}
