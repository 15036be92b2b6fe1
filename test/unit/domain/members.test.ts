import {describe, expect, test} from 'vitest'
import type {StorageHost} from '../../../src/storage/host.ts'
import {gpuNode, world} from '../../support/world.ts'

const master = '198.51.100.1'
const address = '198.51.100.200'

const deadlineMs = 20 * 60_000

interface Joining {
  /** It ends by itself, after the cancel; otherwise only the deadline breaks it off. */
  ends?: boolean
  /** It is a member at the end. */
  joins: boolean
}

/** A node of a cluster that a machine is joining when the task is cancelled. */
async function joining({ends = false, joins}: Joining) {
  const members = [master]
  let begun = () => {}
  const isJoining = new Promise<void>(resolve => {
    begun = resolve
  })
  let end = () => {}
  const isEnded = new Promise<void>(resolve => {
    end = resolve
  })
  const call = async (method: string, _: unknown, signal?: AbortSignal) => {
    if (method === 'cluster.look') return {manager: 'proxmox', cluster: 'lab', node: 'n1', members, storages: []}
    begun()
    signal?.addEventListener('abort', end, {once: true})
    await isEnded
    if (joins) members.push(address)
    if (signal?.aborted) throw new Error('broken off')
    return null
  }
  const plane = await world({nodes: [gpuNode('n1', 0, {storage: call as unknown as StorageHost['call']})]})
  const {services, admin, settle, clock} = plane
  const {task} = await services.members.add({name: 'n2', address, master}, admin)
  await isJoining
  await services.tasks.cancel({id: task.id}, admin)
  if (ends) end()
  else clock.advance(deadlineMs)
  await settle()
  const names = (await services.nodes.list({}, admin)).map(({name}) => name)
  return {ended: await services.tasks.get({id: task.id}, admin), names: names.sort()}
}

describe('W2.3-3: a machine that is joining a cluster', () => {
  test('goes on to its end when it is cancelled: nothing puts it out of there again', async () => {
    const {ended, names} = await joining({ends: true, joins: true})
    expect(ended).toMatchObject({status: 'completed', result: {registered: true}})
    expect(names).toEqual(['n1', 'n2'])
  })

  test('leaves no record when the deadline ends it and it is no member', async () => {
    const {ended, names} = await joining({joins: false})
    expect(ended).toMatchObject({status: 'failed', error: {code: 'DEADLINE', details: {}}})
    expect(names).toEqual(['n1'])
  })

  test('keeps its record when it has become a member by the deadline, and the task says that it stays', async () => {
    const {ended, names} = await joining({joins: true})
    const notTakenBack = [expect.stringContaining('Adding n2')]
    expect(ended).toMatchObject({status: 'failed', error: {code: 'DEADLINE', details: {notTakenBack}}})
    expect(names).toEqual(['n1', 'n2'])
  })
})
