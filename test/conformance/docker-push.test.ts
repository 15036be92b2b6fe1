import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {DockerDriver} from '../../src/runtime/docker.ts'
import {label} from '../../src/runtime/labels.ts'
import {busyboxEngine} from '../support/busybox-engine.ts'
import {busyboxImage, dockerClient} from '../support/images.ts'
import {openRegistry} from '../support/registry.ts'
import {containerSpec, readOutput, startContainer, untilExited} from '../support/runtimes.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const exec = promisify(execFile)
const shared = busyboxEngine()

const {signal} = new AbortController()
const snapshot = (id: string) => ({instanceId: `pushed-${process.pid}`, snapshotId: `${id}-${process.pid}`})
const docker = (...args: string[]) => exec('docker', ['-H', `unix://${shared.socketPath}`, ...args])

/** An engine, and a registry that lets `me:writes` write and `me:reads` read. */
async function place() {
  const registry = await openRegistry((layer, response) => void response.end(layer), 'me:writes', 'me:reads')
  onTestFinished(() => registry.close())
  const logins = await temporaryDirectory()
  const driver = new DockerDriver({...shared, serverId: 'docker-push', logins})
  onTestFinished(() => driver.close())
  const engine = dockerClient(shared)
  const [host = ''] = (await registry.publish()).split('/')
  const login = (kept: string) => {
    const auths = {[host]: {auth: Buffer.from(kept).toString('base64')}}
    return writeFile(join(logins, 'config.json'), JSON.stringify({auths}))
  }
  const take = async (from: string, id: string, more: object) => {
    const name = snapshot(id)
    onTestFinished(() => driver.snapshots.remove(name))
    const container = await startContainer(driver, containerSpec(from, {stays: true}, more))
    await docker('exec', container, 'sh', '-c', `echo ${id} > /${id}`)
    return {name, ...(await driver.snapshots.create(container, name))}
  }
  /** What pushes left on the engine. */
  const left = async () => {
    const images = await engine.listImages({all: true, digests: true})
    const names = images.flatMap(({RepoTags, RepoDigests}) => [...(RepoTags ?? []), ...(RepoDigests ?? [])])
    const containers = (await engine.listContainers({all: true})).flatMap(({Names}) => Names)
    const isOfPush = (name: string) => /gpuctl\.invalid\/(push|before)|gpuctl-push/.test(name) || name.startsWith(host)
    return [...names, ...containers].filter(isOfPush)
  }
  return {driver, engine, host, login, take, left}
}

test('a push uses the login of the node, says what is wrong with it, and leaves every name what it was', async () => {
  const {driver, engine, host, login, take, left} = await place()
  const {name, imageId} = await take(busyboxImage, 'kept', {labels: {[label.instance]: snapshot('').instanceId}})
  const image = `${host}/team/train:v1`
  const push = (as: string, cut = signal) => driver.snapshots.push(name, as, cut)
  const idOf = async (one: string) => (await engine.getImage(one).inspect()).Id
  const failed = (words: RegExp) => ({code: 'failed', message: expect.stringMatching(words)})

  const none = /train:v1 cannot be pushed: .*The node has no login for it: run `docker login 127/
  await expect(push(image)).rejects.toMatchObject(failed(none))
  await login('me:reads')
  await expect(push(image)).rejects.toMatchObject(failed(/was refused: run `docker login 127/))
  await expect(push(image, AbortSignal.abort())).rejects.toMatchObject(failed(/broken off/))
  for (const wrong of [`${image}@sha256:${'0'.repeat(64)}`, 'gpuctl.invalid/snapshot:x'])
    await expect(push(wrong)).rejects.toMatchObject({code: 'invalid'})
  expect(await left()).toEqual([])
  await docker('tag', busyboxImage, image)
  await expect(push(image)).rejects.toMatchObject(failed(/was refused/))
  expect(await idOf(image)).toBe(await idOf(busyboxImage))
  expect(await left()).toEqual([image])

  await login('me:writes')
  const {digest} = await push(image)
  expect(await idOf(image)).not.toBe(await idOf(busyboxImage))
  expect(await left()).toEqual([image, `${host}/team/train@${digest}`])
  await docker('rmi', image)

  // As an agent leaves it that dies in the middle.
  await docker('tag', imageId, `gpuctl.invalid/push:${name.snapshotId}`)
  await docker('tag', imageId, image)
  await docker('tag', busyboxImage, `gpuctl.invalid/before:${name.snapshotId}`)
  await docker('create', '--name', `gpuctl-push-${name.snapshotId}`, busyboxImage)
  await push(`${host}/team/other`)
  expect(await left()).toEqual([image])
  expect(await idOf(image)).toBe(await idOf(busyboxImage))
  await docker('rmi', image)
})

test('what is pushed has the files, the variables of the image below, and nothing else of whose it was', async () => {
  const {driver, engine, host, login, take} = await place()
  await login('me:writes')
  const based = `gpuctl/based:${process.pid}`
  const plain = await engine.createContainer({Image: busyboxImage, Env: ['HOME=/base']})
  await plain.commit({repo: 'gpuctl/based', tag: String(process.pid)})
  await plain.remove()
  onTestFinished(async () => void (await docker('rmi', based)))
  const labels = {[label.instance]: snapshot('').instanceId, [label.owner]: 'alice', [`${label.user}team`]: 'a'}
  const given = {env: {PASSWORD: 'hunter2', HOME: '/given'}, labels}
  const first = await take(based, 'first', given)
  const {name} = await take(first.imageId, 'second', given)

  const {digest} = await driver.snapshots.push(name, `${host}/train`, signal)

  const image = `${host}/train@${digest}`
  await driver.pull(image)
  onTestFinished(async () => void (await docker('rmi', image)))
  const {Config} = await engine.getImage(image).inspect()
  expect(JSON.stringify(Config)).not.toMatch(/hunter2|given|alice|docker-push/)
  expect(Object.entries(Config.Labels).filter(([key, value]) => key.startsWith('gpuctl.') && value)).toEqual([])
  expect(Config.Env).toContain('HOME=/base')
  const command = ['/bin/sh', '-c', 'cat /first /second; echo "$HOME"; env | grep -c PASSWORD']
  const other = await startContainer(driver, containerSpec(image, {}, {command}))
  await untilExited(driver, other)
  expect((await readOutput(driver, other)).stdout).toBe('first\nsecond\n/base\n0\n')
})
