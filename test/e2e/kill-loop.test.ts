import {expect, test} from 'vitest'
import {connectMachines} from '../bench/fleet.ts'
import {gracefulStops} from '../bench/graceful-stop.ts'
import {killLoop} from '../bench/kill-loop.ts'
import {raceForLastGpu} from '../bench/last-gpu.ts'
import {ServerProcess} from '../bench/server-process.ts'
import {program} from '../support/gpuctl.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

// The short form of `npm run soak`.

test('F1: a server killed again and again under load keeps every acknowledged claim once and sells no GPU twice', async () => {
  const data = await temporaryDirectory('gpuctl-kill-')

  const result = await killLoop({
    program,
    data,
    kills: 8,
    clients: 8,
    longestLifeMs: 400,
    machines: (server, signal) => connectMachines({server, nodes: 3, gpus: 4, beatMs: 1_000, signal}),
  })

  expect(result.faults).toEqual([])
  expect(result.fired).toBe(8)
  expect(result.acknowledged).toBeGreaterThan(50)
  expect(result.counts.unsure).toBeGreaterThan(0)
  expect(result.store.claims).toBeGreaterThanOrEqual(result.acknowledged)
  expect(result.store.allocations).toBeGreaterThan(0)
})

test('F22: SIGTERM under load ends the server with 0 in time, and nothing acknowledged is lost', async () => {
  const data = await temporaryDirectory('gpuctl-stop-')

  const result = await gracefulStops({program, data, stops: 10, clients: 8})

  expect(result.faults).toEqual([])
  expect(result.fired).toBe(10)
  expect(result.acknowledged).toBeGreaterThan(40)
})

test('F13: of a hundred claims at once for the only GPU one is bound, the others wait, and the oldest of them is next', async () => {
  const data = await temporaryDirectory('gpuctl-race-')
  const server = await ServerProcess.start({program, data})
  const over = new AbortController()
  const machine = await connectMachines({server, nodes: 1, gpus: 1, beatMs: 1_000, signal: over.signal})
  try {
    const result = await raceForLastGpu({server, rounds: 2, claimants: 100})

    expect(result.bound).toEqual([1, 1])
    expect(result.faults).toEqual([])
  } finally {
    over.abort()
    await machine.ended
    await server.stop()
  }
})
