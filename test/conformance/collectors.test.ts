import {describe, expect, test} from 'vitest'
import {type CollectorDeps, detectCollector, gpuCollectors} from '../../src/metrics/registry.ts'
import {ManualClock} from '../../src/platform/clock.ts'
import {exec} from '../../src/platform/exec.ts'
import {amdMetric, amdStatic, fakeAmdSmi} from '../support/fake-amd-smi.ts'
import {fakeNvidiaSmi} from '../support/fake-nvidia-smi.ts'

type Environment = Record<string, string>

/** For each collector a machine with several GPUs that it can read, without the hardware. */
const workplaces: Record<string, () => Promise<Environment>> = {
  nvidia: async () => ({GPUCTL_NVIDIA_SMI: (await fakeNvidiaSmi({capture: 'h100-2.json'})).file}),
  amd: async () => {
    const tools = await fakeAmdSmi()
    tools.amdSmiSays({static: amdStatic, metric: amdMetric})
    return {GPUCTL_AMD_SMI: tools.amdSmi}
  },
  fake: async () => ({}),
}

const nothing: Environment = {
  GPUCTL_NVIDIA_SMI: '/nonexistent/nvidia-smi',
  GPUCTL_AMD_SMI: '/nonexistent/amd-smi',
  GPUCTL_ROCM_SMI: '/nonexistent/rocm-smi',
}

function deps(env: Environment, fakeGpus?: string): CollectorDeps {
  const clock = new ManualClock()
  return {exec, env: {...nothing, ...env}, now: () => clock.now(), nodeSeed: 'conformance', fakeGpus}
}

test('every collector has a workplace in this suite', () => {
  expect(Object.keys(workplaces).sort()).toEqual(Object.keys(gpuCollectors).sort())
})

describe.each(Object.entries(gpuCollectors))('collector %s', (name, load) => {
  const open = async () => load(deps(await workplaces[name]!(), name === 'fake' ? '2xRTX4090' : undefined))

  test('can work where its GPUs are', async () => {
    const collector = await open()

    expect(collector.vendor).toBe(name)
    expect(await collector.unavailable()).toBeUndefined()
    await collector.close()
  })

  test('reads every GPU with an identity and figures that are figures', async () => {
    const collector = await open()

    const {state, reason, gpus} = await collector.sample()

    expect({state, reason, count: gpus.length}).toEqual({state: 'ok', reason: '', count: 2})
    for (const gpu of gpus) {
      expect(gpu).toMatchObject({vendor: name, simulated: name === 'fake', parentUuid: null})
      expect(Number.isInteger(gpu.index) && gpu.index >= 0).toBe(true)
      expect(gpu.uuid).toMatch(/^[\w:.-]{8,}$/)
      expect(gpu.model).toMatch(/\S/)
      expect(gpu.memoryMiB).toBeGreaterThan(1024)
      if (gpu.memoryUsedMiB !== null) expect(gpu.memoryUsedMiB).toBeLessThanOrEqual(gpu.memoryMiB!)
      for (const figure of [gpu.memoryUsedMiB, gpu.utilizationPercent, gpu.temperatureC, gpu.powerW]) {
        expect(figure === null || (Number.isFinite(figure) && figure >= 0)).toBe(true)
      }
      if (gpu.utilizationPercent !== null) expect(gpu.utilizationPercent).toBeLessThanOrEqual(100)
    }
    expect(new Set(gpus.map(gpu => gpu.index)).size).toBe(gpus.length)
    expect(new Set(gpus.map(gpu => gpu.uuid)).size).toBe(gpus.length)
    await collector.close()
  })

  test('gives a GPU the same index and uuid each time, and in another process', async () => {
    const env = await workplaces[name]!()
    const fakeGpus = name === 'fake' ? '2' : undefined
    const identities = async () => {
      const collector = await load(deps(env, fakeGpus))
      const [one, other] = [await collector.sample(), await collector.sample()]
      await collector.close()
      return [one, other].map(({gpus}) => gpus.map(({index, uuid}) => `${index} ${uuid}`))
    }

    const [[first, second], [restarted]] = [await identities(), await identities()]

    expect(second).toEqual(first)
    expect(restarted).toEqual(first)
  })

  test('answers callers at the same time alike', async () => {
    const collector = await open()

    const samples = await Promise.all(Array.from({length: 5}, () => collector.sample()))

    for (const sample of samples) expect(sample).toEqual(samples[0])
    await collector.close()
  })

  test('may be closed twice, and while it reads', async () => {
    const collector = await open()
    const sample = collector.sample()

    await collector.close()
    await collector.close()

    expect((await sample).state).toMatch(/^(ok|lost)$/)
  })
})

describe.each(['nvidia', 'amd'] as const)('collector %s without its tools', name => {
  test('says why it cannot work, and a sample is lost instead of an error', async () => {
    const collector = await gpuCollectors[name](deps({}))

    expect(await collector.unavailable()).toMatch(/is not installed/)
    expect(await collector.sample()).toMatchObject({
      state: 'lost',
      gpus: [],
      reason: expect.stringMatching(/not installed/),
    })
    await collector.close()
  })
})

describe('detection', () => {
  test.each(['nvidia', 'amd'])('finds %s by its tools', async name => {
    const collector = await detectCollector(deps(await workplaces[name]!()))

    expect(collector?.vendor).toBe(name)
    await collector?.close()
  })

  test('prefers simulated GPUs where they are asked for', async () => {
    const collector = await detectCollector(deps(await workplaces.nvidia!(), '1xT4'))

    expect((await collector?.sample())?.gpus).toMatchObject([{model: 'T4', memoryMiB: 16384, simulated: true}])
  })

  test('finds nothing where nothing is', async () => {
    expect(await detectCollector(deps({}))).toBeUndefined()
  })
})
