import {expect, test, vi} from 'vitest'
import {openStorage} from '../../../src/storage/registry.ts'
import {proxmoxMachine} from '../../support/proxmox.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {gpuNode, world} from '../../support/world.ts'

// Programs of a cluster manager, one after the other, on a machine that may be busy.
vi.setConfig({testTimeout: 60_000})

type Call = ReturnType<typeof openStorage>['call']
const source = {server: '192.168.3.50', exportPath: '/poka'}

/** Three machines of one cluster; their mounts are kept in a list, and may be refused. */
async function cluster() {
  const machine = await proxmoxMachine()
  await machine.cluster(['n1', 'n2', 'n3'])
  const refusing = new Set<string>()
  /** Their next unmount is done and does not say so. */
  const stalling = new Set<string>()
  const storageOf = (node: string) => {
    const there = new Map<string, Record<string, unknown>>()
    const call = async (method: string, input: Record<string, unknown>, signal?: AbortSignal) => {
      if (method === 'mounts.list') return [...there.values()]
      if (method === 'mount.remove') {
        there.delete(String(input.name))
        if (!stalling.has(node)) return
        stalling.delete(node)
        await new Promise(resolve => signal?.addEventListener('abort', resolve, {once: true}))
        throw new Error('it was broken off')
      }
      if (method !== 'mount.create') return machine.storage.call(method as 'plan', input as never)
      if (refusing.has(node)) throw new Error('its server lets nobody write')
      return void there.set(String(input.name), {...input, state: 'mounted', path: `/mnt/${input.name}`, detail: ''})
    }
    return call as unknown as Call
  }
  const nodes = ['n1', 'n2', 'n3'].map(name => gpuNode(name, 0, {storage: storageOf(name)}))
  const plane = await world({nodes})
  const {services, admin, settle} = plane
  const mount = async (...names: string[]) => {
    const {task} = await services.mounts.create({name: 'remote', nodes: names, ...source}, admin)
    await settle()
    return services.tasks.get({id: task!.id}, admin)
  }
  const unmount = async (node: string) => {
    const found = (await services.mounts.list({}, admin)).find(one => one.node === node)
    const {task} = await services.mounts.delete({id: found!.id}, admin)
    await settle()
    return services.tasks.get({id: task!.id}, admin)
  }
  const registeredFor = async () => /nodes (\S+)/.exec(await machine.config())?.[1]
  return {...plane, machine, refusing, stalling, mount, unmount, registeredFor}
}

test('W2.3-6: one of several mounts of a name goes, and the cluster keeps the storage for the others', async () => {
  const {mount, unmount, registeredFor} = await cluster()
  expect(await mount('n1', 'n2')).toMatchObject({status: 'completed', result: {registered: true}})
  expect(await mount('n3')).toMatchObject({status: 'completed', result: {registered: true}})
  expect(await registeredFor()).toBe('n1,n2,n3')

  expect(await unmount('n2')).toMatchObject({status: 'completed'})
  expect(await registeredFor()).toBe('n1,n3')
  await unmount('n1')
  await unmount('n3')
  expect(await registeredFor()).toBeUndefined()
})

test('W2.3-6: a mount that fails takes back its own part of what others use', async () => {
  const {mount, refusing, registeredFor, services, admin} = await cluster()
  await mount('n1')
  refusing.add('n3')

  expect(await mount('n2', 'n3')).toMatchObject({status: 'failed'})

  expect(await registeredFor()).toBe('n1')
  expect((await services.mounts.list({}, admin)).map(({node, status}) => `${node} ${status}`)).toEqual(['n1 mounted'])
})

test('W2.3-6: an unmount that is cancelled too late is mounted again, and known to the cluster as before', async () => {
  const {mount, stalling, registeredFor, services, admin, settle} = await cluster()
  await mount('n1')
  stalling.add('n1')
  const [known] = await services.mounts.list({}, admin)
  const {task} = await services.mounts.delete({id: known!.id}, admin)
  await vi.waitUntil(() => stalling.size === 0, {timeout: 30_000})
  await services.tasks.cancel({id: task!.id}, admin)
  await settle()

  const ended = await services.tasks.get({id: task!.id}, admin)
  expect(ended).toMatchObject({status: 'failed', error: {code: 'CANCELLED', details: {}}})
  expect(await services.mounts.list({}, admin)).toEqual([known])
  expect(await registeredFor()).toBe('n1')
})

test('taking back a mount that was refused leaves what somebody else has mounted there', async () => {
  const directory = await temporaryDirectory()
  const ran: string[] = []
  const run = async (file: string, args: readonly string[]) => {
    ran.push([file, ...args].join(' '))
    return {stdout: '', stderr: '', code: 0}
  }
  // The kernel's own table says what is there: a folder that is mounted on every machine, under the name of a mount.
  const storage = openStorage({directory, mountRoot: '/', fstab: `${directory}/fstab`, run})
  await storage.call('mount.remove', {name: 'proc', source})
  expect(ran.filter(line => line.includes('umount'))).toEqual([])
})
