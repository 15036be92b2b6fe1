import type {ContainerInspectInfo, ImageInspectInfo} from 'dockerode'
import type {FoundSnapshot, SnapshotName} from '../contract/agent-protocol.ts'
import type {DockerEngine} from './docker-engine.ts'
import {RuntimeError, type RuntimeSnapshots} from './driver.ts'
import {label} from './labels.ts'

/** All files that a container has written are read and packed. */
const commitWithinMs = 30 * 60_000
/** Of the tags, so that no clean-up of nameless images takes them; never the name of anything in a registry. */
const repository = 'gpuctl.invalid/snapshot'

interface SnapshotParts {
  engine: DockerEngine
  /** Labels of what belongs to this server and node. */
  ours: Readonly<Record<string, string>>
  /** Throws no_container. */
  look: (containerId: string) => Promise<ContainerInspectInfo>
}

export function dockerSnapshots({engine, ours, look}: SnapshotParts): RuntimeSnapshots {
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
    const base = image?.Config?.Labels?.[baseLabel]
    const below = base ? ((await inspectImage(engine, base))?.Size ?? 0) : 0
    return {imageId: found.Id, sizeBytes: Math.max(0, (image?.Size ?? found.Size) - below)}
  }

  return {
    find,
    async create(containerId, name, signal) {
      const standing = await find(name)
      if (standing) return standing
      const {Id, Image} = await look(containerId)
      await goOn(engine, Id)
      const labels = Object.entries({...marks(name), [baseLabel]: Image})
      const changes = labels.map(([key, value]) => `LABEL ${key}=${value}`)
      const query = {container: Id, repo: repository, tag: name.snapshotId, pause: true, changes}
      try {
        await engine.call(
          'Keeping the files of the container',
          (docker, late) => commit(docker.modem, query, signal ? AbortSignal.any([signal, late]) : late),
          commitWithinMs,
        )
      } catch (error) {
        await goOn(engine, Id).catch(() => {}) // the engine may be away; the next try begins with it
        throw error
      }
      const made = await find(name)
      if (!made) throw new RuntimeError('failed', 'The engine kept no image of the container.')
      return made
    },
    async remove(name) {
      const {[label.instance]: instance} = marks(name)
      const mine = {...ours, [label.instance]: instance ?? ''}
      const paused = await engine.call('Looking for containers that stand still', docker =>
        docker.listContainers({filters: {label: filter(mine), status: ['paused']}}),
      )
      for (const {Id} of paused) await goOn(engine, Id)
      if (paused.length > 0) throw new RuntimeError('failed', 'A snapshot was being made.') // what comes of it is removed
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

/** The image that the container of a snapshot was made of. */
const baseLabel = 'gpuctl.snapshot-base'

type Modem = {dial: (request: never, done: (error: Error | null) => void) => void}

/** Not by the client's own call, which heeds no signal. */
function commit(modem: unknown, options: object, abortSignal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const statusCodes = {201: true, 400: 'bad request', 404: 'not found', 409: 'conflict', 500: 'server error'}
    const request = {path: '/commit?', method: 'POST', options, abortSignal, statusCodes}
    ;(modem as Modem).dial(request as never, error => (error ? reject(error) : resolve()))
  })
}

/** A container that the engine has left paused, because it or its caller ended in the middle of a commit. */
async function goOn(engine: DockerEngine, id: string): Promise<void> {
  const {State} = await engine.call('Looking at the container', docker => docker.getContainer(id).inspect())
  if (State.Paused) await engine.call('Letting the container go on', docker => docker.getContainer(id).unpause())
}

async function inspectImage(engine: DockerEngine, image: string): Promise<ImageInspectInfo | undefined> {
  try {
    return await engine.call(`Looking for image ${image}`, docker => docker.getImage(image).inspect())
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function removeImage(engine: DockerEngine, image: string): Promise<void> {
  try {
    await engine.call('Removing the snapshot', docker => docker.getImage(image).remove(), 60_000)
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof RuntimeError && (error.code === 'image_missing' || error.code === 'no_container')
}

/** It goes into filters and labels. */
function checked(id: string): string {
  if (/^[\w-]{1,64}$/.test(id)) return id
  throw new RuntimeError('invalid', 'That is not the id of a snapshot.')
}
