import {existsSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import fc from 'fast-check'
import {describe, expect, onTestFinished, test} from 'vitest'
import {NvidiaCollector} from '../../../src/metrics/nvidia.ts'
import {parseRows, parseSlices, queryFields, readingOfSlice} from '../../../src/metrics/nvidia-output.ts'
import {exec} from '../../../src/platform/exec.ts'
import {type FakeNvidiaSmiState, fakeNvidiaSmi} from '../../support/fake-nvidia-smi.ts'
import {eventually} from '../../support/wait.ts'

async function machine(state: FakeNvidiaSmiState, timeoutMs = 5_000) {
  const smi = await fakeNvidiaSmi(state)
  const collector = new NvidiaCollector({exec, file: smi.file, timeoutMs})
  onTestFinished(() => collector.close())
  return {smi, collector}
}

describe('whole cards', () => {
  test('are read with all their figures in one call', async () => {
    const {smi, collector} = await machine({capture: 'h100-2.json'})

    const {state, driverVersion, gpus} = await collector.sample()

    expect({state, driverVersion, count: gpus.length}).toEqual({state: 'ok', driverVersion: '590.48.01', count: 2})
    expect(gpus[0]).toEqual({
      index: 0,
      uuid: 'GPU-00000001-5a1c-4f0e-9b7d-3c2e1f0a0001',
      vendor: 'nvidia',
      model: 'NVIDIA H100 80GB HBM3',
      memoryMiB: 81559,
      memoryUsedMiB: 19818,
      utilizationPercent: 97,
      temperatureC: 59,
      powerW: 631.95,
      computeCapability: '9.0',
      devicePaths: [],
      parentUuid: null,
      simulated: false,
    })
    expect(gpus[1]).toMatchObject({index: 1, memoryUsedMiB: 0, utilizationPercent: 0})
    expect(smi.calls().map(call => call.args[0])).toEqual([`--query-gpu=${queryFields.join(',')}`])
  })

  test('keep a figure that the card does not tell as null, never as 0', async () => {
    const {collector} = await machine({capture: 'silent-figures.json'})

    const {state, driverVersion, gpus} = await collector.sample()

    expect({state, driverVersion}).toEqual({state: 'ok', driverVersion: null})
    expect(gpus).toHaveLength(1)
    expect(gpus[0]).toMatchObject({
      memoryMiB: 2048,
      memoryUsedMiB: null,
      utilizationPercent: null,
      temperatureC: null,
      powerW: null,
      computeCapability: null,
    })
  })

  test('are read without a field that this release of the tool does not know, and it is asked only once', async () => {
    const {smi, collector} = await machine({
      capture: 'l40s.json',
      unsupportedFields: ['mig.mode.current', 'compute_cap'],
    })

    const first = await collector.sample()
    const callsOfFirst = smi.calls().length
    await collector.sample()

    expect(first).toMatchObject({
      state: 'ok',
      gpus: [{model: 'NVIDIA L40S', memoryMiB: 46068, computeCapability: null}],
    })
    expect(callsOfFirst).toBe(3)
    expect(smi.calls()).toHaveLength(4)
  })

  test('cannot be read without their identity, and the sample says so', async () => {
    const {collector} = await machine({capture: 'l40s.json', unsupportedFields: ['uuid']})

    expect(await collector.sample()).toMatchObject({
      state: 'lost',
      reason: 'nvidia-smi does not know the field uuid',
      gpus: [],
    })
  })
})

describe('MIG', () => {
  test('slices stand for their card, each with an index and a uuid of its own', async () => {
    const {collector} = await machine({capture: 'h100-mig.json'})

    const {state, gpus} = await collector.sample()

    expect(state).toBe('ok')
    expect(gpus.map(({index, model, memoryMiB}) => [index, model, memoryMiB])).toEqual([
      [1, 'NVIDIA H100 80GB HBM3', 81559],
      [100, 'NVIDIA H100 80GB HBM3 MIG 3g.40gb', 40960],
      [101, 'NVIDIA H100 80GB HBM3 MIG 2g.20gb', 20480],
      [102, 'NVIDIA H100 80GB HBM3 MIG 1g.10gb', 10240],
      [103, 'NVIDIA H100 80GB HBM3 MIG 1g.10gb+me', 10240],
      [300, 'NVIDIA H100 80GB HBM3 MIG 1c.4g.40gb', 40960],
    ])
    expect(new Set(gpus.map(gpu => gpu.uuid)).size).toBe(6)
    expect(gpus[1]).toMatchObject({
      uuid: 'MIG-00000001-77d2-5e41-8a90-6b1f2d3c0001',
      parentUuid: 'GPU-00000003-5a1c-4f0e-9b7d-3c2e1f0a0003',
      memoryUsedMiB: null,
      utilizationPercent: null,
      powerW: null,
      temperatureC: 42,
    })
  })

  test('slices may be cut anew while the agent runs, which loses nothing', async () => {
    const {smi, collector} = await machine({capture: 'h100-mig.json'})
    await collector.sample()

    smi.become({capture: 'h100-mig.json', hiddenListLines: [1, 2, 3]})

    const {state, gpus} = await collector.sample()
    expect(state).toBe('ok')
    expect(gpus.map(gpu => gpu.index)).toEqual([1, 103, 300])
  })
})

describe('a sick driver', () => {
  test('that does not answer the tool makes the sample lost, in the tool’s words', async () => {
    const words =
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it runs.\n\n"
    const {collector} = await machine({says: `\u001b]0;owned\u0007${words}`, exit: 9})

    expect(await collector.unavailable()).toBeUndefined()
    expect(await collector.sample()).toEqual({
      state: 'lost',
      reason: words.trim(),
      driverVersion: null,
      gpus: [],
    })
  })

  test('that lost one card still shows the other', async () => {
    const {collector} = await machine({capture: 'h100-2.json', lostCard: '1'})

    const {state, reason, gpus} = await collector.sample()

    expect(state).toBe('lost')
    expect(reason).toMatch(/^Unable to determine the device handle for GPU.*GPU is lost/)
    expect(gpus.map(gpu => gpu.index)).toEqual([0])
  })

  test('that only warns is not sick', async () => {
    const row = '0, GPU-1, NVIDIA A100-PCIE-40GB, 40960, 0, 0, 30, 33.10, 8.0, Disabled, 550.54.15, 00000000:3B:00.0'
    const {collector} = await machine({says: `${row}\nWARNING: infoROM is corrupted at gpu 0000:3B:00.0\n`, exit: 14})

    expect(await collector.sample()).toMatchObject({state: 'ok', reason: '', gpus: [{memoryMiB: 40960}]})
  })

  test('that quietly drops a card is noticed, and so is its return', async () => {
    const {smi, collector} = await machine({capture: 'h100-2.json'})
    await collector.sample()

    smi.become({capture: 'h100-2.json', hiddenCards: ['1']})
    const without = await collector.sample()
    smi.become({capture: 'h100-2.json'})
    const again = await collector.sample()

    expect(without).toMatchObject({
      state: 'lost',
      reason: 'nvidia-smi no longer lists GPU 1 (GPU-00000002-5a1c-4f0e-9b7d-3c2e1f0a0002)',
      driverVersion: '590.48.01',
      gpus: [{index: 0}],
    })
    expect(again).toMatchObject({state: 'ok', reason: ''})
  })

  test('that drops the last card is noticed, too', async () => {
    const {smi, collector} = await machine({capture: 'l40s.json'})
    await collector.sample()

    smi.become({says: 'No devices were found\n', exit: 6})

    expect(await collector.sample()).toMatchObject({
      state: 'lost',
      reason: expect.stringMatching(/no longer lists GPU 0/),
      gpus: [],
    })
  })

  test('that hangs costs the deadline and no second process, until the hung one is gone', async () => {
    const {smi, collector} = await machine({hang: 'ignoring TERM'}, 1_500)

    const [first, beside] = await Promise.all([collector.sample(), collector.sample()])
    const after = await collector.sample()

    expect(first).toMatchObject({state: 'lost', reason: 'nvidia-smi did not answer in 1.5 s', gpus: []})
    expect(beside).toEqual(first)
    expect(after).toEqual(first)
    expect(smi.calls()).toHaveLength(1)

    smi.become({capture: 'l40s.json'})
    await eventually(async () => (await collector.sample()).state === 'ok', {withinMs: 8_000, everyMs: 100})
    expect(isAlive(smi.calls()[0]!.pid)).toBe(false)
  })

  test('that hangs keeps no process when the collector is closed', async () => {
    const {smi, collector} = await machine({hang: true}, 30_000)
    const sample = collector.sample()
    const [call] = await eventually(() => smi.calls().length > 0 && smi.calls())

    await Promise.all([collector.close(), collector.close()])

    expect((await sample).state).toBe('lost')
    expect(isAlive(call!.pid)).toBe(false)
  })
})

describe('availability', () => {
  test('without the tool there is a reason', async () => {
    const collector = new NvidiaCollector({exec, file: '/nonexistent/nvidia-smi'})

    expect(await collector.unavailable()).toMatch(/nvidia-smi is not installed/)
    expect(await collector.sample()).toMatchObject({state: 'lost', gpus: []})
  })

  test('without a card there is a reason', async () => {
    const {collector} = await machine({says: 'No devices were found\n', exit: 6})

    expect(await collector.unavailable()).toBe('nvidia-smi finds no GPU.')
    expect(await collector.sample()).toEqual({state: 'ok', reason: '', driverVersion: null, gpus: []})
  })
})

describe('garbage', () => {
  const cell = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      'GPU-1',
      'MIG-1',
      '[N/A]',
      'ERR!',
      'NaN',
      'Infinity',
      '-1',
      '1e400',
      '9'.repeat(400),
      'Enabled',
    ),
    fc.string({maxLength: 12}),
  )
  const line = fc.oneof(
    fc.string(),
    fc.array(cell, {minLength: queryFields.length, maxLength: queryFields.length}).map(cells => cells.join(', ')),
    fc.constantFrom(
      'GPU 0: X (UUID: GPU-1)',
      '  MIG 1g.10gb Device 0: (UUID: MIG-1)',
      '  MIG x Device 99999999999: (UUID: MIG-2)',
    ),
  )

  test('never throws, never makes a figure up, and never lists a card twice', () => {
    fc.assert(
      fc.property(fc.array(line, {maxLength: 12}), lines => {
        const {cards} = parseRows(lines.join('\n'), queryFields)
        const slices = parseSlices(lines.join('\n'))
        const readings = [
          ...cards,
          ...slices.flatMap(slice => cards.slice(0, 1).map(card => readingOfSlice(card, slice))),
        ]
        for (const reading of readings) {
          for (const value of Object.values(reading)) {
            if (typeof value === 'number') expect(Number.isFinite(value) && value >= 0).toBe(true)
          }
        }
        expect(new Set(cards.map(card => card.index)).size).toBe(cards.length)
        expect(new Set(cards.map(card => card.uuid)).size).toBe(cards.length)
      }),
      {numRuns: 1_000},
    )
  })

  test.each([
    ['nothing at all', ''],
    ['a page of a proxy', '<html><body>502</body></html>\n'],
    ['bytes', '\u0000\u0001\u001b[2J\uffff\n,,,,,,,,,,,\n'],
  ])('%s is a lost driver with a reason', async (_, says) => {
    const {collector} = await machine({says})

    const {state, reason, gpus} = await collector.sample()

    expect({state, gpus}).toEqual({state: 'lost', gpus: []})
    expect(reason).toMatch(/\S/)
    expect(reason).not.toMatch(/[\u0000-\u001f]/)
  })

  test('without end is ended, and a lost driver', async () => {
    const {collector} = await machine({says: 'x'.repeat(2 * 1024 * 1024)})

    expect(await collector.sample()).toMatchObject({
      state: 'lost',
      reason: expect.stringMatching(/printed more than/),
      gpus: [],
    })
  })
})

/** Captures of real machines, too large for this repository; where they are not beside it, our own compact ones must do. */
const captures = fileURLToPath(new URL('../../../../shared/fixtures/nvidia-smi/', import.meta.url))
if (!existsSync(captures)) console.warn(`NOT TESTED: the captures of real machines (no ${captures})`)
else {
  test.each([
    ['linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt', 'load', [0], 19818, 100],
    ['linux-x86_64__nvidia-h100-mig__590.48.01.txt', 'idle', [100, 101, 102, 103], null, null],
    ['linux-x86_64__nvidia-l40s__595.80.txt', 'load', [0], 1235, 9],
  ] as const)('the public capture %s under %s is read', async (name, phase, indexes, memoryUsedMiB, utilization) => {
    const {collector} = await machine({capture: captures + name, phase})

    const {state, gpus} = await collector.sample()

    expect(state).toBe('ok')
    expect(gpus.map(gpu => gpu.index)).toEqual(indexes)
    expect(gpus[0]).toMatchObject({memoryUsedMiB, utilizationPercent: utilization})
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
