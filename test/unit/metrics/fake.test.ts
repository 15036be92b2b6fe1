import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {FakeCollector} from '../../../src/metrics/fake.ts'
import {FakeGpusError, parseFakeGpus} from '../../../src/metrics/fake-gpus.ts'
import {ManualClock} from '../../../src/platform/clock.ts'

describe('--fake-gpus', () => {
  test.each([
    ['2', ['RTX4090 24576', 'RTX4090 24576']],
    ['1xrtx3090', ['RTX3090 24576']],
    ['2xH100-80GB', ['H100-80GB 81920', 'H100-80GB 81920']],
    ['1xRTX4090, 1xL40S', ['RTX4090 24576', 'L40S 49152']],
    ['1xH200', ['H200 144384']],
    ['1xMyCard:20GiB', ['MyCard 20480']],
    ['1xT4:512MiB', ['T4 512']],
  ])('%s is read', (text, cards) => {
    expect(parseFakeGpus(text).map(({model, memoryMiB}) => `${model} ${memoryMiB}`)).toEqual(cards)
  })

  test.each([
    ['', 'Write a number of GPUs (2), or groups such as 2xRTX4090'],
    ['two', '"two" is no group of GPUs'],
    ['RTX4090', '"RTX4090" is no group of GPUs'],
    ['2xRTX4090,', 'is no group of GPUs'],
    ['0', 'asks for no GPU'],
    ['65', '65 GPUs are too many: 1 to 64'],
    ['40xT4,25xT4', '65 GPUs are too many'],
    ['999999xT4', 'too many'],
    ['1xMyCard', 'The memory of "MyCard" is not known: add it (MyCard:24GiB)'],
    ['1xT4:24', 'Write it as T4:24GiB or T4:24576MiB'],
    ['1xT4:0GiB', 'is no memory of a GPU'],
    ['1xT4:9999GiB', 'up to 1024GiB'],
    ['1x\u001b[2JT4', '"1x?[2JT4" is no group'],
  ])('%j is refused with what would be right', (text, words) => {
    expect(() => parseFakeGpus(text)).toThrow(FakeGpusError)
    expect(() => parseFakeGpus(text)).toThrow(words)
  })

  test('any text is read or refused in one line', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,3}(x[A-Z0-9]{1,6}(:\d{1,4}GiB)?)?$/)), text => {
        try {
          const gpus = parseFakeGpus(text)
          expect(gpus.length).toBeGreaterThan(0)
          expect(gpus.length).toBeLessThanOrEqual(64)
          for (const {memoryMiB} of gpus) expect(Number.isSafeInteger(memoryMiB) && memoryMiB > 0).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(FakeGpusError)
          expect((error as Error).message).not.toMatch(/[\u0000-\u001f]/)
        }
      }),
    )
  })
})

describe('simulated cards', () => {
  const collect = (clock: ManualClock, nodeSeed = 'node-a') =>
    new FakeCollector({gpus: parseFakeGpus('2xRTX4090'), nodeSeed, now: () => clock.now()})

  test('say that they are, and keep their names over a restart', async () => {
    const clock = new ManualClock()

    const {gpus} = await collect(clock).sample()
    clock.advance(3_600_000)
    const restarted = await collect(clock).sample()
    const elsewhere = await collect(clock, 'a seed with blanks').sample()

    expect(gpus.map(gpu => [gpu.uuid, gpu.simulated])).toEqual([
      ['FAKE-node-a-0', true],
      ['FAKE-node-a-1', true],
    ])
    expect(restarted.gpus.map(gpu => gpu.uuid)).toEqual(gpus.map(gpu => gpu.uuid))
    expect(elsewhere.gpus[0]!.uuid).toMatch(/^FAKE-[0-9a-f]{12}-0$/)
  })

  test('show the same at the same time, move with it, and look idle all along', async () => {
    const clock = new ManualClock()
    const seen = new Set<number>()
    let last: number | undefined
    for (let second = 0; second < 120; second += 5) {
      const [one, other] = await Promise.all([collect(clock).sample(), collect(clock).sample()])
      expect(one).toEqual(other)
      const {utilizationPercent, memoryUsedMiB, memoryMiB, powerW} = one.gpus[0]!
      expect(utilizationPercent).toBeLessThanOrEqual(10)
      expect(memoryUsedMiB! / memoryMiB!).toBeLessThan(0.1)
      if (last !== undefined) expect(Math.abs(powerW! - last)).toBeLessThan(3)
      last = powerW!
      seen.add(powerW!)
      clock.advance(5_000)
    }
    expect(seen.size).toBeGreaterThan(10)
  })
})
