import fc from 'fast-check'
import {expect, test} from 'vitest'
import {AmdCollector} from '../../../src/metrics/amd.ts'
import {parseAmdSmi, parseRocmSmi} from '../../../src/metrics/amd-output.ts'
import {exec} from '../../../src/platform/exec.ts'
import {amdMetric, amdStatic, fakeAmdSmi, rocmCards} from '../../support/fake-amd-smi.ts'

async function machine() {
  const tools = await fakeAmdSmi()
  return {tools, collector: new AmdCollector({exec, ...tools})}
}

const shapes = [
  ['a bare array', (gpus: unknown[]) => gpus],
  ['gpu_data', (gpus: unknown[]) => ({gpu_data: gpus})],
] as const

test.each(shapes)('amd-smi is read in the shape of %s', async (_, shape) => {
  const {tools, collector} = await machine()
  tools.amdSmiSays({static: shape(amdStatic), metric: shape(amdMetric)})

  expect(await collector.unavailable()).toBeUndefined()
  const {state, driverVersion, gpus} = await collector.sample()

  expect({state, driverVersion}).toEqual({state: 'ok', driverVersion: '6.10.5'})
  expect(gpus[0]).toEqual({
    index: 0,
    uuid: '0x79ccd55167a2124a',
    vendor: 'amd',
    model: 'AMD Instinct MI300X',
    memoryMiB: 196592,
    memoryUsedMiB: 283,
    utilizationPercent: 37,
    temperatureC: 46,
    powerW: 239,
    computeCapability: null,
    devicePaths: [`${tools.devDir}/kfd`, `${tools.devDir}/dri/renderD128`],
    parentUuid: null,
    simulated: false,
  })
  expect(gpus[1]).toMatchObject({
    memoryMiB: 196592,
    memoryUsedMiB: null,
    utilizationPercent: null,
    temperatureC: null,
    powerW: null,
    devicePaths: [`${tools.devDir}/kfd`, `${tools.devDir}/dri/renderD129`],
  })
})

test('rocm-smi names the same cards by the same identities', async () => {
  const {tools, collector} = await machine()
  tools.rocmSmiSays(rocmCards)
  const old = await collector.sample()

  const newer = await machine()
  newer.tools.amdSmiSays({static: amdStatic, metric: amdMetric})
  const {gpus} = await newer.collector.sample()

  expect(old).toMatchObject({state: 'ok', driverVersion: '6.10.5'})
  expect(old.gpus.map(gpu => gpu.uuid)).toEqual(['0x79ccd55167a2124a', '0x04edfb117a17a07d'])
  expect(gpus.map(gpu => gpu.uuid)).toEqual(old.gpus.map(gpu => gpu.uuid))
  expect(old.gpus[0]).toMatchObject({memoryMiB: 196592, memoryUsedMiB: 283, temperatureC: 46, powerW: 239})
  expect(old.gpus[1]).toMatchObject({memoryUsedMiB: null, utilizationPercent: null, powerW: null})
})

test('a card that answers no longer makes the sample lost, until it is back', async () => {
  const {tools, collector} = await machine()
  tools.amdSmiSays({static: amdStatic, metric: amdMetric})
  await collector.sample()

  tools.amdSmiSays({static: amdStatic, metric: amdMetric.slice(0, 1)})
  const without = await collector.sample()
  tools.amdSmiSays({static: amdStatic, metric: amdMetric})
  const again = await collector.sample()

  expect(without).toMatchObject({
    state: 'lost',
    reason: 'GPU 1 (0x04edfb117a17a07d) is no longer listed',
    gpus: [{index: 0}],
  })
  expect(again).toMatchObject({state: 'ok', gpus: [{index: 0}, {index: 1}]})
})

test('the parts of a partitioned card have a uuid each', () => {
  const parts = [0, 1].map(gpu => ({...amdStatic[0]!, gpu}))

  const found = parseAmdSmi(JSON.stringify(parts), JSON.stringify(amdMetric))

  expect(found?.cards.map(card => card.uuid)).toEqual(['0x79ccd55167a2124a', '0x79ccd55167a2124a-1'])
})

test('a card without a serial number is known by where it sits', () => {
  const found = parseRocmSmi(JSON.stringify({card0: {'Unique ID': 'N/A', 'PCI Bus': '0000:07:00.0'}}))

  expect(found?.cards[0]).toMatchObject({uuid: 'AMD-0000:07:00.0', model: 'AMD GPU', memoryMiB: null})
})

test('without the tools there is a reason, and garbage is a lost driver', async () => {
  const {tools, collector} = await machine()
  expect(await collector.unavailable()).toMatch(/amd-smi is not installed.*rocm-smi is not installed/)

  tools.rocmSmiSays('Traceback (most recent call last):\n  boom\n')

  expect(await collector.unavailable()).toBeUndefined()
  expect(await collector.sample()).toMatchObject({
    state: 'lost',
    reason: 'rocm-smi answered something that is no list of GPUs',
  })
})

test('any JSON at all neither throws nor makes a figure up', () => {
  const key = fc.constantFrom(
    'gpu',
    'gpu_data',
    'asic',
    'bus',
    'usage',
    'gfx_activity',
    'value',
    'unit',
    'card0',
    'GPU use (%)',
  )
  const {tree} = fc.letrec(tie => ({
    tree: fc.oneof(
      {depthSize: 'small', withCrossShrink: true},
      fc.constantFrom<unknown>(0, 1, -1, 1e300, 'N/A', '1e400', '5 MB', 'NaN', null, true),
      fc.array(tie('tree'), {maxLength: 4}),
      fc.dictionary(key, tie('tree'), {maxKeys: 5}),
    ),
  }))
  fc.assert(
    fc.property(tree, tree, (one, other) => {
      const texts = [JSON.stringify(one), JSON.stringify(other)] as const
      const cards = [...(parseAmdSmi(...texts)?.cards ?? []), ...(parseRocmSmi(texts[0])?.cards ?? [])]
      for (const value of cards.flatMap(card => Object.values(card))) {
        if (typeof value === 'number') expect(Number.isFinite(value) && value >= 0).toBe(true)
      }
    }),
    {numRuns: 1_000},
  )
})
