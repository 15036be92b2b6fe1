import {expect, test} from 'vitest'
import {desired, wanted} from './examples.ts'
import {TestNode} from './node.ts'

const first = {instanceId: 'instance-1', snapshotId: 'snapshot-1'}
const second = {...first, snapshotId: 'snapshot-2'}

test('no snapshot of an instance is removed while another is made of it: its container must stand still', async () => {
  const node = new TestNode()
  let goOn = () => {}
  const untilPacked = new Promise<void>(resolve => {
    goOn = resolve
  })
  const calls: unknown[] = []
  const before = async (call: string, [act, name]: unknown[]) => {
    if (call !== 'snapshots') return
    const {snapshotId} = (act === 'create' ? second : name) as typeof first
    calls.push(`${act} ${snapshotId}`)
    if (act === 'create') await untilPacked
  }
  const {agent, told, reports} = await node.boot({doubts: {before}})
  await agent.setDesired(desired(1, wanted()))
  const {containerId} = await node.until(() => told()?.state === 'running' && told())
  await node.engine.snapshots!.create(containerId, first)

  const taking = agent.snapshots.take(second, containerId)
  await agent.setDesired({...desired(2, wanted()), goingSnapshots: [first]})
  const removing = agent.snapshots.remove(first)
  expect(calls).toEqual(['create snapshot-2'])

  goOn()
  await Promise.all([taking, removing])
  await node.until(() => reports.some(report => report.type === 'snapshots'))
  expect(new Set(calls)).toEqual(new Set(['create snapshot-2', 'remove snapshot-1']))
  expect(await node.engine.snapshots!.find(first)).toBeUndefined()
  expect(await node.engine.snapshots!.find(second)).toBeDefined()
})

test('one push of a snapshot ends before the next begins, and before the snapshot goes', async () => {
  const node = new TestNode()
  const ends: (() => void)[] = []
  const calls: unknown[] = []
  const before = async (call: string, [act, , image]: unknown[]) => {
    if (call !== 'snapshots' || (act !== 'push' && act !== 'remove')) return
    calls.push(image ?? act)
    if (act === 'push') await new Promise<void>(resolve => void ends.push(resolve))
  }
  const {agent, told} = await node.boot({doubts: {before}})
  await agent.setDesired(desired(1, wanted()))
  const {containerId} = await node.until(() => told()?.state === 'running' && told())
  await agent.snapshots.take(first, containerId)
  const {signal} = new AbortController()
  const push = (image: string) => agent.snapshots.push(first, image, signal)

  const cut = push('a/cut')
  const again = push('a/again')
  await node.until(() => ends.length === 1)
  expect(calls).toEqual(['a/cut'])
  ends[0]?.()
  await cut
  await node.until(() => ends.length === 2)
  const removing = agent.snapshots.remove(first)
  expect(calls).toEqual(['a/cut', 'a/again'])
  ends[1]?.()
  await Promise.all([again, removing])

  expect(calls).toEqual(['a/cut', 'a/again', 'remove'])
})
