import {expect, test} from 'vitest'
import {ImagePulls} from '../../../src/agent/image-pulls.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {FakeDriver} from '../../../src/runtime/fake.ts'

function scene() {
  const told: string[] = []
  const pulls = new ImagePulls({
    driver: new FakeDriver({serverId: 'server-1', clock: new ManualClock()}),
    onProgress: id => void told.push(`progress of ${id}`),
    onEnd: id => void told.push(`end of ${id}`),
  })
  return {pulls, told}
}

test('a pull runs beside the work, tells its progress and its end, and is done once', async () => {
  const {pulls, told} = scene()

  expect(pulls.isDone('a', 'cuda')).toBe(false)
  expect(pulls.progress('a')).toMatchObject({percent: 100})
  await pulls.idle()
  expect(told.at(0)).toBe('progress of a')
  expect(told.at(-1)).toBe('end of a')
  expect(pulls.progress('a')).toBeUndefined()
  expect(pulls.isDone('a', 'cuda')).toBe(true)
  expect(pulls.isDone('a', 'cuda')).toBe(false)
})

test('a pull that fails throws once, and the next wish tries it again', async () => {
  const {pulls} = scene()
  pulls.isDone('a', 'missing')
  await pulls.idle()

  expect(() => pulls.isDone('a', 'missing')).toThrow('cannot be pulled')
  expect(pulls.isDone('a', 'missing')).toBe(false)
})

test('a pull whose instance is not wanted any more is not told', async () => {
  const {pulls, told} = scene()
  pulls.isDone('a', 'cuda')
  pulls.keep(() => false)
  await new Promise(resolve => setImmediate(resolve))

  expect(told).not.toContain('end of a')
  expect(pulls.progress('a')).toBeUndefined()
})
