import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {beforeEach, expect, onTestFinished, test, vi} from 'vitest'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import {label} from '../../src/runtime/labels.ts'
import {pipe} from '../support/piped.ts'
import {openRegistry} from '../support/registry.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

test('an instance is kept, broken and restored on a real engine with all that it had; its images go with it', async () => {
  const fleet = await wholeFleet()
  const {name, instanceId: id} = await fleet.running({
    ...{env: {COLOUR: 'blue'}, gpus: {count: 1}, dataDiskGiB: 1, cpus: 0.5, memoryMiB: 128, labels: {team: 'a'}},
  })
  const sh = async (script: string) => (await pipe(fleet, ['exec', name, '--', 'sh', '-c', script])).stdout.toString()
  const ok = async (...args: string[]) => expect(await pipe(fleet, args)).toMatchObject({code: 0})
  const get = (): Promise<Instance> => fleet.client.call('instances.get', {id})
  const look = async () => fleet.docker.getContainer((await get()).containerId).inspect()
  const images = () => fleet.docker.listImages({filters: {label: [`${label.instance}=${id}`]}})
  await sh('echo one > /kept; echo one > /data/volume')
  const before = await look()

  await ok('instance', 'snapshot', 'create', name, 'good', '--wait')
  await sh('rm -rf /kept /etc/passwd; echo two > /data/volume; echo x > /junk')
  await ok('instance', 'update', name, '--cpus', '0.25', '--memory', '96MiB')
  await eventually(async () => (await look()).HostConfig.Memory === 96 * 1024 * 1024)
  await ok('instance', 'restore', name, 'good', '--yes', '--grace', '1s')

  expect(await sh('cat /kept /data/volume; ls /etc/passwd; ls /junk 2>/dev/null; echo $COLOUR')).toBe(
    'one\ntwo\n/etc/passwd\nblue\n',
  )
  const after = await look()
  expect(after.Id).not.toBe(before.Id)
  expect(after.State.Running).toBe(true)
  expect(after.HostConfig).toEqual({
    ...before.HostConfig,
    Memory: 100_663_296,
    MemorySwap: 100_663_296,
    NanoCpus: 250_000_000,
  })
  expect(after.Config.Cmd).toEqual(before.Config.Cmd)
  expect(after.Config.Labels).toMatchObject({...before.Config.Labels, [label.restored]: '1'})
  expect([...(after.Config.Env ?? [])].sort()).toEqual([...(before.Config.Env ?? [])].sort())
  const standing = await fleet.docker.listContainers({all: true, filters: {label: [`${label.instance}=${id}`]}})
  expect(standing.map(({Id}) => Id)).toEqual([after.Id])
  expect(await get()).toMatchObject({status: 'running', cpus: 0.25, memoryMiB: 96, madeOf: {snapshot: 'good'}})
  expect(await images()).toHaveLength(1)

  await ok('instance', 'delete', name, '--yes')
  await eventually(async () => (await images()).length === 0, {withinMs: 30_000, what: 'the end of the images'})
})

test('what an instance became is pushed with the login of its node, and runs as another one; a login that only reads keeps nothing', async () => {
  const registry = await openRegistry((layer, response) => void response.end(layer), 'me:writes', 'me:reads')
  onTestFinished(() => registry.close())
  const logins = await temporaryDirectory()
  vi.stubEnv('DOCKER_CONFIG', logins)
  onTestFinished(() => void vi.unstubAllEnvs())
  const fleet = await wholeFleet()
  const {name} = await fleet.running({env: {PASSWORD: 'hunter2'}})
  const image = `${(await registry.publish()).split('/')[0]}/team/train:v1`
  const keep = (login: string) => {
    const auths = {[image.split('/')[0] as string]: {auth: Buffer.from(login).toString('base64')}}
    return writeFile(join(logins, 'config.json'), JSON.stringify({auths}))
  }
  const push = ['instance', 'snapshot', 'create', name, 'sent', '--push', image, '--wait']
  await pipe(fleet, ['exec', name, '--', 'sh', '-c', 'echo grown > /grown'])

  await keep('me:reads')
  const refused = await pipe(fleet, push)
  expect(refused).toMatchObject({code: 1, stderr: expect.stringContaining('run `docker login 127')})
  await eventually(async () => (await fleet.client.call('instances.snapshots', {id: name})).length === 0)
  await keep('me:writes')
  expect(await pipe(fleet, push)).toMatchObject({code: 0})

  onTestFinished(async () => void (await fleet.docker.getImage(image).remove()))
  const command = ['sh', '-c', 'cat /grown; env | grep -c PASSWORD; sleep 600']
  const other = await fleet.running({image, command})
  await eventually(async () => (await fleet.output(other)) === 'grown\n0\n')
  await fleet.stopAgent()
  for (const {Id} of await fleet.containers()) await fleet.docker.getContainer(Id).remove({force: true, v: true})
})
