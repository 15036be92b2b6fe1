import {describe, expect, test} from 'vitest'
import type {StorageHost} from '../../../src/storage/host.ts'
import {gpuNode, world} from '../../support/world.ts'

const master = '198.51.100.1'
const address = '198.51.100.200'

/** A node of a cluster that a machine is joining until the task is broken off; `joins`: it was a member by then. */
async function joining({joins}: {joins: boolean}) {
  const members = [master]
  let begun = () => {}
  const isJoining = new Promise<void>(resolve => {
    begun = resolve
  })
  const call = async (method: string, _: unknown, signal?: AbortSignal) => {
    if (method === 'cluster.look') return {manager: 'proxmox', cluster: 'lab', node: 'n1', members, storages: []}
    begun()
    await new Promise(resolve => signal?.addEventListener('abort', resolve, {once: true}))
    if (joins) members.push(address)
    throw new Error('broken off')
  }
  const plane = await world({nodes: [gpuNode('n1', 0, {storage: call as unknown as StorageHost['call']})]})
  const {services, admin, settle} = plane
  const {task} = await services.members.add({name: 'n2', address, master}, admin)
  await isJoining
  await services.tasks.cancel({id: task.id}, admin)
  await settle()
  const names = (await services.nodes.list({}, admin)).map(({name}) => name)
  return {ended: await services.tasks.get({id: task.id}, admin), names}
}

describe('W2.3-3: a machine whose joining is cancelled', () => {
  test('leaves no record while it is no member', async () => {
    const {ended, names} = await joining({joins: false})
    expect(ended).toMatchObject({status: 'failed', error: {code: 'CANCELLED', details: {}}})
    expect(names).toEqual(['n1'])
  })

  test('keeps its record when it has become a member, and the task says that it stays', async () => {
    const {ended, names} = await joining({joins: true})
    const notTakenBack = [expect.stringContaining('Adding n2')]
    expect(ended).toMatchObject({status: 'failed', error: {code: 'CANCELLED', details: {notTakenBack}}})
    expect(names.sort()).toEqual(['n1', 'n2'])
  })
})
