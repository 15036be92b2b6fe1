import {expect, test} from 'vitest'
import {describeInstance} from '../../../src/agent/instance-report.ts'
import {ReportQueue} from '../../../src/agent/report-queue.ts'
import type {InstanceReport, Report} from '../../../src/contract/agent-protocol.ts'
import {wanted} from './examples.ts'

function report(allocationId: string, change: Partial<InstanceReport> = {}): InstanceReport {
  const record = {allocationId, claimId: 'c', epoch: 1, containerId: '', warnings: [], vanished: false}
  return {...describeInstance(wanted({allocationId}), undefined, record), ...change}
}

function instances(complete: boolean, desiredRevision: number, ...list: InstanceReport[]): Report {
  return {type: 'instances', complete, desiredRevision, instances: list}
}

function beat(sequence: number): Report {
  return {type: 'beat', beat: {bootId: 'b', sequence}}
}

test('of everything only the newest is told', () => {
  const queue = new ReportQueue()
  queue.push(beat(1))
  queue.push(instances(true, 1, report('a'), report('b')))
  queue.push(beat(2))
  queue.push(instances(false, 2, report('a', {state: 'running'})))

  expect(queue.take()).toEqual([beat(2), instances(true, 2, report('a', {state: 'running'}), report('b'))])
  expect(queue.take()).toEqual([])
})

test('a complete report takes the place of what was to be told of instances', () => {
  const queue = new ReportQueue()
  queue.push(instances(false, 1, report('gone')))
  queue.push(instances(true, 1, report('here')))

  expect(queue.take()).toEqual([instances(true, 1, report('here'))])
})

test('a reader who takes nothing costs a bounded amount of memory', () => {
  const queue = new ReportQueue()
  queue.push(instances(true, 1))
  for (let index = 0; index < 25_000; index++) queue.push(instances(false, 1, report(`a${index}`)))

  const [told] = queue.take()
  expect(told).toMatchObject({type: 'instances', complete: false})
  expect(told?.type === 'instances' && told.instances.length).toBe(10_000)
  expect(told?.type === 'instances' && told.instances.at(-1)?.allocationId).toBe('a24999')
})

test('a waiting reader is woken by a report, and by the end', async () => {
  const queue = new ReportQueue()
  const first = queue.wait()
  queue.push(beat(1))
  await first
  queue.take()

  const second = queue.wait()
  queue.close()
  await second
  await queue.wait()
})
