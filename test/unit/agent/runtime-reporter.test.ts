import {expect, onTestFinished, test} from 'vitest'
import {type KeptRuntime, RuntimeReporter, type RuntimeReportState} from '../../../src/agent/runtime-reporter.ts'
import type {GpuReading} from '../../../src/metrics/collector.ts'
import {HostSampler} from '../../../src/metrics/host.ts'
import {type Clock, systemClock} from '../../../src/platform/clock.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import {type ControlPlane, controlPlane} from '../../support/control-plane.ts'
import {standInRuntime} from '../../support/stand-in-runtime.ts'
import {eventually} from '../../support/wait.ts'

const gpu: GpuReading = {
  ...{index: 0, uuid: 'FAKE-0', vendor: 'fake', model: 'RTX4090', memoryMiB: 1000, memoryUsedMiB: 250},
  ...{utilizationPercent: 50, temperatureC: 60, powerW: null, computeCapability: '8.9'},
  ...{devicePaths: [], parentUuid: null, simulated: true},
}

/** Waits are a hundred times shorter. */
const hurried: Clock = {
  ...systemClock,
  setTimeout: (fn, afterMs, options) => systemClock.setTimeout(fn, afterMs / 100, options),
}

async function reporterFor(plane: ControlPlane, port: number, {gpus = [gpu, {...gpu, index: 1}]} = {}) {
  const {nodeKey, nodeId} = await plane.node('gpu-1')
  const states: [RuntimeReportState, string][] = []
  const stopping = new AbortController()
  const kept: {now?: KeptRuntime} = {}
  const start = (signal = stopping.signal) =>
    new RuntimeReporter({
      ...{server: plane.url, nodeKey, port, name: 'gpu-1', version: '0.0.0-test', clock: hurried, signal},
      gpus: async () => gpus,
      host: new HostSampler(),
      kept: {
        load: async () => kept.now,
        save: async one => {
          kept.now = one
        },
      },
      onState: (state, detail) => states.push([state, detail]),
      logger: createLogger({level: 'silent'}),
    }).run()
  const running = start()
  onTestFinished(async () => {
    stopping.abort()
    await running
  })
  const list = () => plane.ok<Record<string, unknown>[]>('runtimes.list', {}, {token: plane.adminToken})
  return {states, kept, nodeId, list, start}
}

test('the agent registers the runtime of its machine with its own key, beats for it, and registers again when it was forgotten', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime({models: ['llama-3'], readyModels: [1, 1]})
  const {states, nodeId, list} = await reporterFor(plane, runtime.port)

  await eventually(() => states.some(([state]) => state === 'reporting'))
  const [first] = await list()
  expect(first).toMatchObject({
    ...{name: 'gpu-1', node: 'gpu-1', nodeId, status: 'pending', address: '127.0.0.1', port: runtime.port},
    ...{models: ['llama-3'], ready: {ready: 1, total: 1}, gpuCount: 2, gpuModel: 'RTX4090 (simulated)'},
    load: {gpuMemoryTotalMb: 2000, gpuMemoryPercent: 25, gpuPercent: 50, gpuComputeCapability: '8.9'},
  })
  await plane.ok('runtimes.approve', {id: first!.id}, {token: plane.adminToken})
  expect((await list())[0]).toMatchObject({status: 'online', loaded: {chat: ['llama-3']}})

  await plane.ok('runtimes.delete', {id: first!.id}, {token: plane.adminToken})
  const again = await eventually(async () => (await list())[0])
  expect(again).toMatchObject({status: 'pending', port: runtime.port})
  expect(again.id).not.toBe(first!.id)
})

test('an agent that starts again goes on with the token that it kept, and needs no new approval', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()
  const {states, kept, list, start} = await reporterFor(plane, runtime.port)
  await eventually(() => states.some(([state]) => state === 'reporting'))
  await plane.ok('runtimes.approve', {id: kept.now!.id}, {token: plane.adminToken})
  states.length = 0

  const second = new AbortController()
  const running = start(second.signal)
  await eventually(() => states.filter(([state]) => state === 'reporting').length > 1)
  second.abort()
  await running

  expect(states.some(([state]) => state === 'registered')).toBe(false)
  expect(await list()).toMatchObject([{id: kept.now!.id, status: 'online'}])
})

test('of a runtime that ended the server hears at once, and it is asked again when it is back, without a new approval', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime({models: ['llama-3']})
  const {states, kept, list} = await reporterFor(plane, runtime.port)
  await eventually(() => states.some(([state]) => state === 'reporting'))
  await plane.ok('runtimes.approve', {id: kept.now!.id}, {token: plane.adminToken})
  expect(await list()).toMatchObject([{status: 'online'}])

  await runtime.stop()
  await eventually(async () => (await list())[0]?.status === 'registering')
  await standInRuntime({models: ['llama-3'], port: runtime.apiPort})
  await eventually(async () => (await list())[0]?.status === 'online')
  expect(await list()).toMatchObject([{id: kept.now!.id}])
})

test('while no runtime answers it says so and tries again', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()
  await runtime.stop()
  const silent = await reporterFor(plane, runtime.port)

  await eventually(() => silent.states.length > 1)
  expect(silent.states[0]).toEqual([
    'waiting',
    `no inference runtime answers at http://127.0.0.1:${runtime.apiPort}/v1/models`,
  ])

  await standInRuntime({port: runtime.apiPort})
  await eventually(() => silent.states.some(([state]) => state === 'registered'))
})

test('a machine without a GPU, and one whose runtime the server refuses, say why', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()
  const without = await reporterFor(plane, runtime.port, {gpus: []})

  await eventually(() => without.states.length > 0)
  expect(without.states[0]).toEqual(['waiting', 'no GPU was found on this machine, and a runtime needs one'])
  expect(await without.list()).toEqual([])
})
