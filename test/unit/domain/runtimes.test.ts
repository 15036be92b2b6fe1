import {expect, test} from 'vitest'
import type {RuntimeBeat} from '../../../src/domain/runtimes.ts'
import type {RuntimeRegistrationInput} from '../../../src/domain/services/services.ts'
import {world} from '../../support/world.ts'

type World = Awaited<ReturnType<typeof world>>

const caller = {address: '192.0.2.7', requestId: 'test', isLocal: true, credential: undefined}

function registration(change: Partial<RuntimeRegistrationInput> = {}): RuntimeRegistrationInput {
  return {
    ...{machineName: 'server-01', address: '192.0.2.7', port: 32_768, runtimeVersion: '0.1.0', gpuAvailable: true},
    gpuDevices: [{model: 'RTX 4090', count: 1, memoryBytes: null}],
    supportedRuntimes: [],
    ...change,
  }
}

function beat(change: Partial<RuntimeBeat> = {}): RuntimeBeat {
  const unknown = {gpuPercent: null, gpuMemoryPercent: null, gpuMemoryTotalMb: null, gpuMemoryUsedMb: null}
  const more = {gpuTemperatureC: null, gpuModelName: null, gpuComputeCapability: null, gpuCapabilityScore: null}
  return {
    load: {cpuPercent: 1, memoryPercent: 2, activeRequests: 0, averageResponseMs: null, ...unknown, ...more},
    ...{loaded: {}, supportedRuntimes: [], initializing: false},
    ...change,
  }
}

async function registered(fleet: World, change?: Partial<RuntimeRegistrationInput>) {
  const {runtime, token} = await fleet.services.runtimes.register(registration(change), caller)
  const {id} = runtime
  return {
    id,
    token,
    approve: () => fleet.services.runtimes.approve({id}, fleet.admin),
    beat: (beaten?: Partial<RuntimeBeat>) => fleet.services.runtimes.beat(token, id, beat(beaten)),
    get: () => fleet.services.runtimes.get({id}),
    status: async () => (await fleet.services.runtimes.get({id})).status,
    isTarget: async () => (await fleet.services.runtimes.targets()).some(target => target.id === id),
  }
}

test('W1.5-1 W1.5-5 W6.5-3: a pending runtime stays pending through beats, silence and beats again, and is never asked', async () => {
  const fleet = await world()
  const runtime = await registered(fleet)

  for (const silenceMs of [0, 30_000, 61_000, 3_600_000]) {
    fleet.clock.advance(silenceMs)
    expect(await runtime.status()).toBe('pending')
    await runtime.beat({ready: {ready: 1, total: 1}})
    await runtime.beat()
    expect(await runtime.status()).toBe('pending')
    expect(await runtime.isTarget()).toBe(false)
  }
  expect((await runtime.get()).load).toMatchObject({cpuPercent: 1})
})

test('W1.5-2 W6.4-3: approve brings a ready runtime online, another one to registering, and takes only pending ones', async () => {
  const fleet = await world()
  const ready = await registered(fleet)
  const starting = await registered(fleet, {port: 40_000})
  await starting.beat({ready: {ready: 1, total: 2}, initializing: true})

  expect(await ready.approve()).toMatchObject({status: 'online', initializing: false, onlineSince: expect.any(String)})
  expect(await starting.approve()).toMatchObject({status: 'registering', initializing: true, onlineSince: null})

  await expect(ready.approve()).rejects.toMatchObject({code: 'runtime_not_pending'})
})

test('W1.5-3 W6.4-4: beats bring a registering runtime online, and one that was away back', async () => {
  const fleet = await world()
  const runtime = await registered(fleet)
  await runtime.beat({ready: {ready: 0, total: 2}, initializing: true})
  await runtime.approve()
  await runtime.beat({ready: {ready: 1, total: 2}, initializing: true})
  expect(await runtime.status()).toBe('registering')

  await runtime.beat({ready: {ready: 2, total: 2}})
  expect(await runtime.status()).toBe('online')
  const {onlineSince} = await runtime.get()

  fleet.clock.advance(61_000)
  expect(await runtime.get()).toMatchObject({status: 'offline', onlineSince: null})
  await runtime.beat({ready: {ready: 2, total: 2}})
  const back = await runtime.get()
  expect(back.status).toBe('online')
  expect(back.onlineSince! > onlineSince!).toBe(true)
})

test('W1.5-4 W6.4-5: after 60 s of silence a runtime is offline, and not before', async () => {
  const fleet = await world()
  const runtime = await registered(fleet)
  await runtime.approve()

  fleet.clock.advance(60_000)
  expect([await runtime.status(), await runtime.isTarget()]).toEqual(['online', true])
  fleet.clock.advance(1)
  expect([await runtime.status(), await runtime.isTarget()]).toEqual(['offline', false])
  expect(await fleet.services.runtimes.knownModels()).toEqual([{id: 'gpt-oss-20b', isReady: false}])
})

test('W1.5-6: readings older than 120 s are stale, 360 are kept, and requests are counted by the minute for an hour', async () => {
  const fleet = await world()
  const {runtimes} = fleet.services
  const runtime = await registered(fleet)
  for (let count = 0; count < 400; count++) await runtime.beat()
  fleet.clock.advance(120_000)
  expect(await runtime.get()).toMatchObject({isLoadFresh: true})
  fleet.clock.advance(1)
  expect(await runtime.get()).toMatchObject({isLoadFresh: false})
  expect(await runtimes.readings({id: runtime.id})).toHaveLength(360)

  const over = runtimes.began(runtime.id)
  expect((await runtime.get()).requests).toMatchObject({active: 1, total: 0})
  over({isSuccess: true, durationMs: 10})
  over({isSuccess: true, durationMs: 10})
  runtimes.began(runtime.id)({isSuccess: false, durationMs: 30})
  expect((await runtime.get()).requests).toEqual({active: 0, total: 2, succeeded: 1, failed: 1, averageMs: 20})
  expect(runtimes.requestHistory()).toHaveLength(60)
  expect(runtimes.requestHistory().at(-1)).toMatchObject({succeeded: 1, failed: 1})
  fleet.clock.advance(59 * 60_000)
  expect(runtimes.requestHistory()[0]).toMatchObject({succeeded: 1, failed: 1})
  fleet.clock.advance(60_000)
  expect(runtimes.requestHistory().every(({succeeded, failed}) => succeeded + failed === 0)).toBe(true)
})

test('a model that failed is set aside until the runtime registers again, or was away or not ready', async () => {
  const fleet = await world()
  const {runtimes} = fleet.services
  const runtime = await registered(fleet)
  await runtime.approve()
  await runtime.beat({loaded: {chat: ['llama-3']}})
  const models = async () => (await runtimes.targets())[0]?.models

  runtimes.exclude(runtime.id, 'gpt-oss-20b')
  expect(await models()).toEqual(['llama-3'])
  await runtime.beat()
  expect(await models()).toEqual(['llama-3'])
  fleet.clock.advance(61_000)
  await runtime.beat()
  expect(await models()).toEqual(['gpt-oss-20b', 'llama-3'])

  runtimes.exclude(runtime.id, 'llama-3')
  await runtime.beat({initializing: true})
  expect(await models()).toBeUndefined()
  await runtime.beat()
  expect(await models()).toEqual(['gpt-oss-20b', 'llama-3'])

  runtimes.exclude(runtime.id, 'llama-3')
  const again = await registered(fleet)
  await again.approve()
  expect(await models()).toEqual(['gpt-oss-20b'])
})

test('W6.4-1 rule 7: approving a runtime admits the machine that still waits, by name and address, and only that one', async () => {
  const fleet = await world()
  const {nodes} = fleet.services
  const peer = {requestId: 'test', address: '192.0.2.7'}
  const other = await nodes.join({hostname: 'server-01'}, {...peer, address: '192.0.2.8'})
  const asked = await nodes.join({hostname: 'server-01'}, peer)
  const runtime = await registered(fleet)
  expect(await runtime.get()).toMatchObject({nodeId: asked.requestId, status: 'pending'})

  expect(await runtime.approve()).toMatchObject({status: 'online', node: 'server-01'})

  expect(await nodes.get({id: asked.requestId}, fleet.admin)).toMatchObject({admission: 'active'})
  expect(await nodes.get({id: other.requestId}, fleet.admin)).toMatchObject({admission: 'pending'})
})

test('W6.4-7: on a blocked machine a runtime is offline; with a deleted one it is gone; one refused leaves it alone', async () => {
  const fleet = await world()
  const {services, store, admin} = fleet
  const peer = {requestId: 'test', address: '192.0.2.7'}
  const refused = await services.nodes.join({hostname: 'server-01'}, peer)
  const runtime = await registered(fleet)
  await services.nodes.reject({node: refused.code}, admin)
  expect(await runtime.get()).toMatchObject({nodeId: null})

  const asked = await services.nodes.join({hostname: 'server-01'}, peer)
  await services.nodes.approve({node: asked.code}, admin)
  const second = await registered(fleet)
  await second.approve()
  expect(await second.get()).toMatchObject({id: runtime.id, status: 'online', nodeId: asked.requestId})

  const node = (await store.nodes.find(asked.requestId))!
  await store.nodes.save({...node, admission: 'blocked'})
  await services.nodes.cordon({id: node.id, reason: 'so that its change is heard'}, admin)
  expect([await second.status(), await second.isTarget()]).toEqual(['offline', false])

  await services.nodes.delete({id: node.id}, admin)
  await expect(second.get()).rejects.toMatchObject({code: 'not_found'})
  await expect(second.beat()).rejects.toMatchObject({code: 'token_invalid'})
})

test('F8: after a restart of the server, who was online has a minute to be heard again', async () => {
  const fleet = await world()
  const runtime = await registered(fleet)
  await runtime.approve()
  await runtime.beat({loaded: {chat: ['llama-3']}})
  await fleet.services.server.maintain()

  fleet.clock.advance(3_600_000)
  await fleet.restart()

  const {runtimes} = fleet.services
  expect(await runtimes.get({id: runtime.id})).toMatchObject({status: 'online', loaded: {chat: ['llama-3']}})
  await runtimes.beat(runtime.token, runtime.id, beat())
  fleet.clock.advance(61_000)
  expect(await runtimes.get({id: runtime.id})).toMatchObject({status: 'offline'})
})

test('twenty registrations of one endpoint at once leave one runtime, and one token that is good', async () => {
  const fleet = await world()
  const {runtimes} = fleet.services

  const all = await Promise.all(Array.from({length: 20}, () => runtimes.register(registration(), caller)))

  expect(await runtimes.list({})).toHaveLength(1)
  const good = await Promise.all(
    all.map(({token}) =>
      runtimes.authenticate(token).then(
        () => true,
        () => false,
      ),
    ),
  )
  expect(good.filter(isGood => isGood)).toHaveLength(1)
})
