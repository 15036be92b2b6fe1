import {expect, test} from 'vitest'
import type {InstanceRecord} from '../../../src/agent/instance-record.ts'
import {describeInstance} from '../../../src/agent/instance-report.ts'
import {nextStep, strays} from '../../../src/agent/plan.ts'
import {container, wanted} from './examples.ts'

const earlier = '2026-01-01T00:00:00Z'
const later = '2026-01-01T01:00:00Z'

const created = container({state: 'created', startedAt: ''})
const running = container({startedAt: later})
const exited = container({state: 'exited', startedAt: later, finishedAt: later, exitCode: 0})

const unknown: InstanceRecord = {
  allocationId: 'claim-1/1',
  claimId: 'claim-1',
  epoch: 1,
  containerId: '',
  warnings: [],
  vanished: false,
}
const begun = (generation: number, startedAtBefore = ''): InstanceRecord => ({
  ...unknown,
  containerId: 'c1',
  begun: {generation, startedAtBefore},
})
const gone = (record: InstanceRecord): InstanceRecord => ({...record, vanished: true})
const failed = (generation: number): InstanceRecord => ({
  ...unknown,
  failed: {generation, code: 'image_missing', message: 'no such image'},
})

const run = wanted({state: 'running', generation: 1})
const runAgain = wanted({state: 'running', generation: 2})
const stop = wanted({state: 'stopped', generation: 1})
const remove = wanted({state: 'removed', generation: 1})

test.each([
  ['nothing is there yet', run, undefined, unknown, 'create', 'created'],
  ['it was created and not started', run, created, unknown, 'start', 'created'],
  ['a start was begun, and a crash came before it happened', run, created, begun(1), 'start', 'created'],
  ['it runs', run, running, begun(1), 'rest', 'running'],
  ['it has ended', run, exited, begun(1), 'rest', 'exited'],
  ['it ran and was taken away', run, undefined, gone(begun(1)), 'rest', 'removed'],
  ['it was taken away before it was started', run, undefined, gone(unknown), 'create', 'created'],
  ['its creation failed', run, undefined, failed(1), 'rest', 'failed'],
  ['its start failed', run, created, failed(1), 'rest', 'failed'],
  ['a new start is wanted while it runs', runAgain, running, begun(1), 'stop', 'running'],
  ['a new start is wanted after its end', runAgain, exited, begun(1), 'start', 'exited'],
  ['a new start is wanted of what was taken away', runAgain, undefined, gone(begun(1)), 'create', 'created'],
  ['a new start is wanted after a failed one', runAgain, undefined, failed(1), 'create', 'created'],
  ['the new start was begun, and a crash came before it', runAgain, exited, begun(2, later), 'start', 'exited'],
  ['the new start has happened', runAgain, running, begun(2, earlier), 'rest', 'running'],
  ['the new start has happened and ended', runAgain, exited, begun(2, earlier), 'rest', 'exited'],
  ['it shall stop and runs', stop, running, begun(1), 'stop', 'running'],
  ['it shall stop and has ended', stop, exited, begun(1), 'rest', 'exited'],
  ['it shall stop and was never started', stop, created, unknown, 'rest', 'exited'],
  ['it shall stop and was never created', stop, undefined, unknown, 'rest', 'exited'],
  ['it shall stop and was taken away', stop, undefined, gone(begun(1)), 'rest', 'removed'],
  ['it shall go and runs', remove, running, begun(1), 'remove', 'running'],
  ['it shall go and has ended', remove, exited, begun(1), 'remove', 'exited'],
  ['it shall go and was only created', remove, created, unknown, 'remove', 'created'],
  ['it shall go and is gone', remove, undefined, gone(begun(1)), 'rest', 'removed'],
  ['it shall go and never was', remove, undefined, unknown, 'rest', 'removed'],
  ['it shall go, and its creation failed', remove, undefined, failed(1), 'rest', 'removed'],
] as const)('when %s', (_, wish, found, record, step, state) => {
  expect(nextStep(wish, found, record)).toBe(step)
  expect(describeInstance(wish, found, record).state).toBe(state)
})

test('a pull is told with its progress, and a failure of an older generation is not told any more', () => {
  expect(describeInstance(run, undefined, unknown, {percent: 40})).toMatchObject({state: 'pulling', progress: 40})
  expect(describeInstance(runAgain, undefined, failed(1), {percent: null})).toMatchObject({
    state: 'pulling',
    errorCode: '',
    message: '',
  })
  expect(describeInstance(run, undefined, failed(1))).toMatchObject({
    state: 'failed',
    errorCode: 'image_missing',
    message: 'no such image',
  })
})

test('strays are the containers of allocations that are not wanted', () => {
  const found = new Map([
    ['a', container({containerId: 'one'})],
    ['b', container({containerId: 'two'})],
  ])

  expect(strays(['a'], found).map(one => one.containerId)).toEqual(['two'])
})
