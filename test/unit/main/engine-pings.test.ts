import {expect, test} from 'vitest'
import type {Services} from '../../../src/domain/services/services.ts'
import {pingEngines} from '../../../src/main/engine-pings.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import {eventually} from '../../support/wait.ts'

test('W3.5: every engine is asked every 30 s, 100 ms apart, and one that hangs or fails delays no other', async () => {
  const clock = new ManualClock()
  const asked: {nodeId: string; atMs: number}[] = []
  const nodes = {
    withEngines: async () => ['hangs', 'fails', 'well'],
    pingEngine: async (nodeId: string) => {
      asked.push({nodeId, atMs: clock.monotonic()})
      if (nodeId === 'hangs') await new Promise(() => {})
      if (nodeId === 'fails') throw new Error('it fails')
    },
  }
  const services = {nodes} as unknown as Services
  const pings = pingEngines({services, clock, logger: createLogger({level: 'silent'})})
  const advance = async (ms: number, count: number) => {
    clock.advance(ms)
    await eventually(() => asked.length === count && clock.pending > 0, {what: `${count} engines were asked`})
  }

  await advance(0, 1)
  await advance(100, 2)
  await advance(100, 3)
  await advance(100, 3)
  await advance(29_000, 3)
  await advance(1_000, 4)
  await pings.stop()

  expect(asked.map(({nodeId, atMs}) => `${nodeId} ${atMs}`)).toEqual([
    'hangs 0',
    'fails 100',
    'well 200',
    'hangs 30300',
  ])
  clock.advance(60_000)
  expect(asked).toHaveLength(4)
  expect(clock.pending).toBe(0)
})
