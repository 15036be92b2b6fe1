import type {ImageInspectInfo} from 'dockerode'
import type {PushedSnapshot} from '../contract/agent-protocol.ts'
import {type DockerEngine, deadlineMs} from './docker-engine.ts'
import {commitContainer, inspectImage, isAbsent, removeImage} from './docker-image-calls.ts'
import {checkImageReference, hasTag} from './docker-images.ts'
import {type TransferMessage, transfer} from './docker-transfer.ts'
import {RuntimeError} from './driver.ts'
import {label} from './labels.ts'
import {loginFor, registryOf} from './registry-logins.ts'

/** Nothing is written into the container that is committed. */
const commitWithinMs = 10 * 60_000
/** Snapshots of instances that were made of snapshots. */
const deepestBase = 64
/** Of names that are never those of anything in a registry. */
const ourOwn = 'gpuctl.invalid'

interface Push {
  snapshotId: string
  imageId: string
  /** Where to: repository and perhaps a tag. */
  image: string
  /** Folder of what `docker login` kept. */
  logins: string
  cut: AbortSignal
}

/** What stands on the engine meanwhile, by names that outlive an agent. */
function namesOf(snapshotId: string) {
  return {
    container: `gpuctl-push-${snapshotId}`,
    /** What is pushed. */
    made: `${ourOwn}/push:${snapshotId}`,
    /** What the name that it is pushed as meant here before. */
    before: `${ourOwn}/before:${snapshotId}`,
  }
}

/**
 * Sends a snapshot to the registry of `image`. Only that is named so here for the while; afterwards the name means what is
 * in the registry where it meant something before, and nothing otherwise. What fails leaves it as it was.
 */
export async function pushSnapshot(engine: DockerEngine, push: Push): Promise<PushedSnapshot> {
  const {snapshotId, image, logins, cut} = push
  const [repo, tag] = repositoryOf(image)
  if (registryOf(image) === ourOwn) throw new RuntimeError('invalid', `${ourOwn} is no registry.`)
  const {before, made} = namesOf(snapshotId)
  await tidyPush(engine, snapshotId)
  try {
    await makePlain(engine, push)
    const named = await inspectImage(engine, `${repo}:${tag}`)
    if (named) await nameImage(engine, named.Id, before)
    await nameImage(engine, made, `${repo}:${tag}`)
    let digest = ''
    const login = (await loginFor(image, logins)) ?? {}
    const request = {path: `/images/${repo}/push`, query: {tag}, login}
    const refused = {code: 'failed', words: `Image ${image} cannot be pushed`} as const
    await transfer(engine, {doing: `Pushing ${image}`, image, request, refused, cut}, message => {
      digest = digestIn(message) ?? digest
    })
    if (!digest) throw new RuntimeError('failed', `Pushing ${image}: the engine told no digest.`)
    if (named) await nameImage(engine, made, before)
    await tidyPush(engine, snapshotId)
    return {digest}
  } catch (error) {
    await tidyPush(engine, snapshotId).catch(() => {}) // whoever removes the snapshot tidies again
    throw error
  }
}

/** Takes away what a push left, and gives the name that it was pushed as back to what it meant before. */
export async function tidyPush(engine: DockerEngine, snapshotId: string): Promise<void> {
  const names = namesOf(snapshotId)
  await removeContainer(engine, names.container)
  const made = await inspectImage(engine, names.made)
  const before = await inspectImage(engine, names.before)
  if (!made && !before) return
  const others = (made?.RepoTags ?? []).filter(tag => registryOf(tag) !== ourOwn)
  if (before) for (const tag of others) await nameImage(engine, before.Id, tag)
  const isMeant = before !== undefined && before.Id === made?.Id
  const digests = isMeant ? [] : (made?.RepoDigests ?? [])
  const gone = [...(before ? [] : others), ...digests, names.before, names.made]
  for (const name of gone) await removeImage(engine, name, {force: true})
}

/**
 * An image of the snapshot's files that says nothing of whose they were. A commit can neither forget a label nor the name
 * of a variable: labels become empty, and a variable without `=` is none to who runs the image.
 */
async function makePlain(engine: DockerEngine, {snapshotId, imageId}: Push): Promise<void> {
  const {container, made} = namesOf(snapshotId)
  const {Env, Labels} = (await inspectImage(engine, imageId))?.Config ?? {}
  const base = await baseOf(engine, imageId)
  const spec = {
    name: container,
    Image: imageId,
    Env: environment(Env ?? [], base),
    Labels: Object.fromEntries(ourLabels(Labels).map(key => [key, ''])),
    HostConfig: {NetworkMode: 'none'},
  }
  await engine.call(
    'Making the image to push',
    (docker, abortSignal) => docker.createContainer({...spec, abortSignal}),
    deadlineMs.create,
  )
  const [repo, tag] = repositoryOf(made)
  const query = {container, repo, tag, pause: false}
  await commitContainer(engine, 'Making the image to push', query, commitWithinMs)
  await removeContainer(engine, container)
}

/** The image that the first of a line of snapshots was made of; undefined when it is gone. */
async function baseOf(engine: DockerEngine, imageId: string): Promise<ImageInspectInfo | undefined> {
  let image = await inspectImage(engine, imageId)
  for (let depth = 0; image?.Config?.Labels?.[label.snapshot]; depth++) {
    const below = image.Config.Labels[label.base]
    image = below && depth < deepestBase ? await inspectImage(engine, below) : undefined
  }
  return image
}

/** As the base has it, where that is known. All else came of the claim. */
function environment(given: readonly string[], base: ImageInspectInfo | undefined): string[] {
  const kept = base ? (base.Config?.Env ?? []) : given.filter(one => nameOf(one) === 'PATH')
  const names = new Set(kept.map(nameOf))
  return [...kept, ...given.map(nameOf).filter(name => !names.has(name))]
}

function nameOf(variable: string): string {
  return variable.split('=', 1)[0] ?? ''
}

function ourLabels(labels: Record<string, string> = {}): string[] {
  return Object.keys(labels).filter(key => key.startsWith('gpuctl.'))
}

/** Throws `invalid` for what is no name to push as. */
function repositoryOf(image: string): [repository: string, tag: string] {
  checkImageReference(image)
  if (/@|^sha256:/.test(image)) throw new RuntimeError('invalid', `${image} is not a name to push as.`)
  const at = hasTag(image) ? image.lastIndexOf(':') : image.length
  return [image.slice(0, at), image.slice(at + 1) || 'latest']
}

function digestIn({aux, status}: TransferMessage): string | undefined {
  return aux?.Digest ?? /\bdigest: (sha256:[0-9a-f]{64})\b/.exec(status ?? '')?.[1]
}

/** The name leaves what had it before, which stays. */
async function nameImage(engine: DockerEngine, image: string, name: string): Promise<void> {
  const [repo, tag] = repositoryOf(name)
  await engine.call(`Naming ${name}`, docker => docker.getImage(image).tag({repo, tag}))
}

async function removeContainer(engine: DockerEngine, name: string): Promise<void> {
  try {
    await engine.call(
      `Removing ${name}`,
      docker => docker.getContainer(name).remove({force: true, v: true}),
      deadlineMs.create,
    )
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}
