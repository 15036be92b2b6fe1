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
