import {randomUUID} from 'node:crypto'
import {join} from 'node:path'
import {describe, expect, onTestFinished, type TestContext, test} from 'vitest'
import {GpuTaken, type Tables} from '../../src/domain/ports.ts'
import {migrations} from '../../src/store/migrations/migrations.ts'
import {openStore} from '../../src/store/open.ts'
import type {OpenedStore} from '../../src/store/opened-store.ts'
import {createDatabase} from '../support/postgres.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {
  newAllocation,
  newClaim,
  newEvent,
  newInstance,
  newNode,
  newRuntime,
  newUser,
  runtimeState,
} from '../unit/store/records.ts'

const at = '2026-01-01T00:00:00.000Z'
const places: Record<string, (context: TestContext) => Promise<string>> = {
  sqlite: async () => join(await temporaryDirectory(), 'store.db'),
  postgres: async context => {
    need(context, 'postgres')
    return createDatabase()
  },
}

async function openAt(place: string): Promise<OpenedStore> {
  const store = await openStore({
    at: place,
    onFatal: error => {
      throw error
    },
  })
  onTestFinished(() => store.close())
  return store
}

describe.each(Object.entries(places))('store %s', (_, place) => {
  const open = async (context: TestContext) => openAt(await place(context))

  test('users have unique names without regard to case', async context => {
    const {users} = await open(context)
    const bob = await users.insert(newUser({username: 'Bob'}))

    await expect(users.insert(newUser({username: 'bOB'}))).rejects.toMatchObject({code: 'name_taken'})
    await users.save({...bob, gpuQuota: 9})

    expect(await users.findByName('BOB')).toEqual({...bob, gpuQuota: 9})
    expect(await users.list()).toHaveLength(1)
    await users.delete(bob.id)
    expect(await users.find(bob.id)).toBeUndefined()
  })

  test('marks of apply belong to one user and one set, and a transaction takes them back', async context => {
    const store = await open(context)
    const {applyMarks} = store
    const mark = (objectId: string, ownerId: string, set: string) => applyMarks.insert({objectId, ownerId, set})
    await mark('one', 'ann', 'default')
    await mark('two', 'ann', 'default')
    await mark('three', 'ann', 'other')
    await mark('four', 'bob', 'default')
    const broken = store.transaction(async tx => {
      await tx.applyMarks.insert({objectId: 'five', ownerId: 'ann', set: 'default'})
      throw new Error('no')
    })

    await expect(broken).rejects.toThrow('no')
    await applyMarks.delete('two')
    await applyMarks.delete('two')
    expect(await applyMarks.objectsOf('ann', 'default')).toEqual(['one'])
    await expect(mark('one', 'bob', 'default')).rejects.toThrow()
    expect(await applyMarks.objectsOf('bob', 'default')).toEqual(['four'])
  })

  test('tokens are found by the hash of their secret and go with their owner', async context => {
    const {users, tokens} = await open(context)
    const owner = await users.insert(newUser())
    const limits = {requestsPerMinute: 60, concurrency: null}
    const fields = {
      name: 'ci',
      owner: owner.username,
      scopes: ['read' as const],
      ...limits,
      expiresAt: null,
      lastUsedAt: null,
    }
    const base = {id: randomUUID(), createdAt: at, updatedAt: at, hint: 'gp_', ownerId: owner.id, secretHash: 'h1'}
    const token = await tokens.insert({...base, ...fields})

    await tokens.touch(token.id, '2026-01-02T00:00:00.000Z')

    expect(await tokens.findBySecretHash('h1')).toEqual({...token, lastUsedAt: '2026-01-02T00:00:00.000Z'})
    await expect(tokens.insert({...base, id: randomUUID(), ...fields})).rejects.toMatchObject({code: 'name_taken'})
    await users.delete(owner.id)
    expect(await tokens.listOf(owner.id)).toEqual([])
  })

  test('a join token with three uses lets three of twenty callers in, and none once it expired', async context => {
    const {joinTokens} = await open(context)
    const base = {
      createdAt: at,
      updatedAt: at,
      expiresAt: '2026-02-01T00:00:00.000Z',
      autoApprove: true,
      labels: {},
      admits: 'nodes' as const,
    }
    const token = await joinTokens.insert({id: randomUUID(), ...base, name: 'rack', usesLeft: 3, secretHash: 's'})

    expect(await joinTokens.use('s', '2026-02-01T00:00:00.000Z')).toBeUndefined()
    const uses = await Promise.all(Array.from({length: 20}, () => joinTokens.use('s', at)))

    expect(
      uses
        .filter(use => use)
        .map(use => use!.usesLeft)
        .sort(),
    ).toEqual([0, 1, 2])
    expect(await joinTokens.find(token.id)).toEqual({...token, usesLeft: 0})
  })

  test('nodes are found by number, code, key and active name', async context => {
    const {nodes} = await open(context)
    const waiting = await nodes.insert(
      newNode({name: 'a', admission: 'pending', code: 'XK7M2', codeExpiresAt: '2026-01-01T00:15:00.000Z'}),
    )
    const active = await nodes.insert(newNode({name: 'a', keyHash: 'k'}))

    expect(await nodes.findByNumber(waiting.number)).toEqual(waiting)
    expect(await nodes.findByCode('XK7M2')).toEqual(waiting)
    expect(await nodes.findByKeyHash('k')).toEqual(active)
    expect(await nodes.findActiveByName('a')).toEqual(active)
    expect(await nodes.list({admission: 'pending'})).toEqual([waiting])
    expect(await nodes.listExpired('2026-01-01T00:15:00.001Z')).toEqual([waiting])
    expect(await nodes.listExpired('2026-01-01T00:15:00.000Z')).toEqual([])
    await expect(nodes.insert(newNode({code: 'XK7M2'}))).rejects.toMatchObject({code: 'name_taken'})
    await expect(nodes.save({...waiting, admission: 'active'})).rejects.toMatchObject({code: 'name_taken'})
  })

  test('the newest beat of each node is kept, in one commit for many, and goes with its node', async context => {
    const {nodes, ...store} = await open(context)
    const fleet = await store.transaction(tx =>
      Promise.all(Array.from({length: 113}, () => tx.nodes.insert(newNode()))),
    )
    const beats = (sequence: number) => fleet.map(({id}) => ({nodeId: id, at, beat: {bootId: 'b', sequence}}))
    const before = store.counts.commits

    await nodes.saveBeats([...beats(1), ...beats(2)])

    expect(store.counts.commits - before).toBe(1)
    expect((await nodes.listBeats()).map(({beat}) => beat.sequence)).toEqual(fleet.map(() => 2))
    await nodes.delete(fleet[0]!.id)
    expect(await nodes.listBeats()).toHaveLength(112)
  })

  test('a runtime is found by endpoint and token; its machine may go and leaves it, its state goes with it', async context => {
    const {nodes, runtimes} = await open(context)
    const node = await nodes.insert(newNode())
    const first = await runtimes.insert(newRuntime({nodeId: node.id, address: '192.0.2.7', port: 32768}))
    const second = await runtimes.insert(newRuntime({address: '192.0.2.7', port: 32770}))

    await expect(runtimes.insert(newRuntime({address: '192.0.2.7', port: 32768}))).rejects.toMatchObject({
      code: 'name_taken',
    })
    expect(await runtimes.findByEndpoint('192.0.2.7', 32768)).toEqual(first)
    expect(await runtimes.findByTokenHash(second.tokenHash)).toEqual(second)
    expect(await runtimes.listOfNode(node.id)).toEqual([first])
    const changed = await runtimes.save({...first, approval: 'approved', tokenHash: 'new'})
    await expect(runtimes.save(first)).rejects.toMatchObject({code: 'changed_meanwhile'})
    expect(await runtimes.findByTokenHash(first.tokenHash)).toBeUndefined()

    const state = (seenAt: string) => ({...runtimeState, seenAt})
    await runtimes.saveStates([{runtimeId: first.id, state: state(at)}])
    await runtimes.saveStates([
      {runtimeId: first.id, state: state('2026-01-01T00:01:00.000Z')},
      {runtimeId: randomUUID(), state: state(at)},
    ])
    expect(await runtimes.listStates()).toEqual([{runtimeId: first.id, state: state('2026-01-01T00:01:00.000Z')}])

    await nodes.delete(node.id)
    expect(await runtimes.list()).toEqual([{...changed, nodeId: null}, second])
    await runtimes.delete(first.id)
    expect(await runtimes.listStates()).toEqual([])
  })

  test('a change of a row that somebody else changed is refused', async context => {
    const {nodes, claims, instances} = await open(context)
    const node = await nodes.insert(newNode())
    const claim = await claims.insert(newClaim({name: 'train'}))
    const instance = await instances.insert(newInstance())

    expect(await nodes.save({...node, schedulable: false})).toMatchObject({version: 1, schedulable: false})
    await claims.save(claim)
    await instances.save(instance)

    const error = {code: 'changed_meanwhile'}
    await expect(nodes.save(node)).rejects.toMatchObject(error)
    await expect(claims.save(claim)).rejects.toMatchObject({...error, details: {kind: 'claim', name: 'train'}})
    await expect(instances.save(instance)).rejects.toMatchObject(error)
    expect(await nodes.find(node.id)).toMatchObject({version: 1, schedulable: false})
  })

  test('claims come back as they were, newest first, by every filter', async context => {
    const {claims} = await open(context)
    const ownerId = randomUUID()
    const first = await claims.insert(newClaim({ownerId, name: 'a', spec: {env: {'ümlaut "': "x'\n\0"}}}))
    const second = await claims.insert(newClaim({ownerId, name: 'b', phase: 'Running'}))
    const other = await claims.insert(newClaim({name: 'a', phase: 'Failed'}))

    expect(await claims.find(first.id)).toEqual(first)
    expect(await claims.findByNumber(second.number)).toEqual(second)
    expect(await claims.list({})).toEqual([other, second, first])
    expect(await claims.list({ownerId})).toEqual([second, first])
    expect(await claims.list({phases: ['Pending', 'Failed'], name: 'a'})).toEqual([other, first])
    expect(await claims.list({phases: []})).toEqual([])
    expect(await claims.list({limit: 1, offset: 1})).toEqual([second])
    expect(await claims.findByPrefix(first.id.slice(0, 13).toUpperCase(), ownerId, 5)).toEqual([first])
    expect(await claims.findByPrefix(first.id.slice(0, 13), randomUUID(), 5)).toEqual([])
    expect(await claims.countByPhase()).toEqual({Pending: 1, Running: 1, Failed: 1})
  })

  test('the name of a live claim is its own, and free again when it is over', async context => {
    const {claims} = await open(context)
    const ownerId = randomUUID()
    const first = await claims.insert(newClaim({ownerId, name: 'train'}))

    await expect(claims.insert(newClaim({ownerId, name: 'train'}))).rejects.toMatchObject({
      code: 'name_taken',
      details: {kind: 'claim', name: 'train'},
    })
    await claims.save({...first, status: {...first.status, phase: 'Released'}})
    const second = await claims.insert(newClaim({ownerId, name: 'train'}))

    expect(await claims.findLiveByName(ownerId, 'train')).toEqual(second)
  })

  test('a claim is given another name and another priority, an instance another name, where nobody has it', async context => {
    const {claims, instances} = await open(context)
    const ownerId = randomUUID()
    const first = await claims.insert(newClaim({ownerId, name: 'a'}))
    const second = await claims.insert(newClaim({ownerId, name: 'b'}))
    const instance = await instances.insert(newInstance({ownerId, name: 'b'}))

    const changed = await claims.saveSpec({...second, name: 'c', spec: {...second.spec, priority: 7}})
    const renamed = await instances.saveName({...instance, name: 'c'})

    expect(changed).toMatchObject({name: 'c', spec: {priority: 7}, version: 1})
    expect(await claims.find(second.id)).toEqual(changed)
    expect((await claims.pending()).map(({id}) => id)).toEqual([second.id, first.id])
    expect(await claims.findLiveByName(ownerId, 'c')).toEqual(changed)
    expect(await claims.findLiveByName(ownerId, 'b')).toBeUndefined()
    expect(await instances.list({ownerId, name: 'c'})).toEqual([renamed])
    await expect(claims.saveSpec({...changed, name: 'a'})).rejects.toMatchObject({code: 'name_taken'})
    await expect(claims.saveSpec(second)).rejects.toMatchObject({code: 'changed_meanwhile'})
  })

  test('the queue is by priority, then age, and only live claims hold GPUs', async context => {
    const {claims} = await open(context)
    const ownerId = randomUUID()
    const claim = (priority: number, count: number, phase?: 'Running' | 'Completed') =>
      claims.insert(newClaim({ownerId, phase, spec: {priority, gpus: {count}}}))
    const [low, high, next] = [await claim(-5, 1), await claim(5, 2), await claim(5, 4)]
    await claim(9, 8, 'Running')
    await claim(9, 16, 'Completed')

    const queue = await claims.pending()

    expect(queue.map(({id}) => id)).toEqual([high.id, next.id, low.id])
    expect(queue[0]).toEqual({id: high.id, number: high.number, ownerId, createdAt: at, spec: high.spec})
    const paged = [...(await claims.pending({limit: 2}))]
    while (paged.length < 3) paged.push(...(await claims.pending({after: paged.at(-1), limit: 1})))
    expect(paged).toEqual(queue)
    expect(await claims.pending({after: queue[0], limit: 2})).toEqual(queue.slice(1))
    expect(await claims.pending({after: queue[2], limit: 2})).toEqual([])
    expect(await claims.gpusHeldBy(ownerId)).toBe(15)
    expect(await claims.gpusHeldBy(randomUUID())).toBe(0)
  })

  test('instances are listed by owner, node, status and whether their claim lives', async context => {
    const {claims, instances} = await open(context)
    const live = await claims.insert(newClaim({phase: 'Running'}))
    const over = await claims.insert(newClaim({phase: 'Completed'}))
    const nodeId = randomUUID()
    const running = await instances.insert(newInstance({claimId: live.id, nodeId, status: 'running', labels: {a: 'b'}}))
    const exited = await instances.insert(newInstance({claimId: over.id, nodeId, status: 'exited', exitCode: 3}))

    expect(await instances.list({nodeId})).toEqual([exited, running])
    expect(await instances.list({live: true})).toEqual([running])
    expect(await instances.list({live: false})).toEqual([exited])
    expect(await instances.list({statuses: ['running', 'creating'], ownerId: running.ownerId})).toEqual([running])
    expect(await instances.list({name: exited.name})).toEqual([exited])
    expect(await instances.findByClaim(live.id)).toEqual(running)
    expect(await instances.findByNumber(exited.number)).toEqual(exited)
    expect(await instances.findByPrefix(running.id.slice(0, 8), undefined, 2)).toEqual([running])
  })

  test('instances are counted and paged without those that are deleted, by a part of their name', async context => {
    const {instances} = await open(context)
    const ownerId = randomUUID()
    const add = (name: string, fields = {}) => instances.insert(newInstance({name, ownerId, ...fields}))
    const [first, , second] = [await add('Train-1'), await add('other'), await add('my_train%2', {status: 'exited'})]
    const gone = await add('train-3')
    expect(await instances.count({ownerId, deleted: false})).toBe(4)
    await instances.save({...gone, desired: 'deleted'})

    expect(await instances.list({ownerId, deleted: false, namePart: 'TRAIN'})).toEqual([second, first])
    expect(await instances.list({ownerId, deleted: false, namePart: '_train%'})).toEqual([second])
    expect(await instances.list({ownerId, deleted: true})).toMatchObject([{name: 'train-3'}])
    expect(await instances.list({ownerId, deleted: false, limit: 1, offset: 1})).toMatchObject([{name: 'other'}])
    expect(await instances.count({ownerId, deleted: false, statuses: ['exited']})).toBe(1)
    expect(await instances.count({ownerId, namePart: 'train'})).toBe(3)
  })

  test('a GPU is bound once until it is released; the loser leaves nothing behind and may go elsewhere', async context => {
    const store = await open(context)
    const winner = await store.allocations.bind(newAllocation('n1', [0, 1]))

    const second = await store.transaction(async tx => {
      await expect(tx.allocations.bind(newAllocation('n1', [2, 1]))).rejects.toThrow(GpuTaken)
      return tx.allocations.bind(newAllocation('n2', [2, 1]))
    })

    expect(await store.allocations.listLive('n1')).toEqual([winner])
    expect(await store.allocations.listLive()).toEqual([winner, second])
    await store.allocations.release(winner.id, '2026-01-02T00:00:00.000Z')
    await store.allocations.release(winner.id, '2026-01-03T00:00:00.000Z')
    expect(await store.allocations.find(winner.id)).toEqual({...winner, releasedAt: '2026-01-02T00:00:00.000Z'})
    expect(await store.allocations.findByClaim(winner.claimId)).toBeUndefined()
    await store.allocations.bind(newAllocation('n1', [0, 1, 2]))
  })

  test('a claim has one live allocation, even one without GPUs', async context => {
    const {allocations} = await open(context)
    const claimId = randomUUID()
    const first = await allocations.bind(newAllocation('n1', [], claimId))

    await expect(allocations.bind(newAllocation('n2', [], claimId))).rejects.toMatchObject({code: 'changed_meanwhile'})
    expect(await allocations.findByClaim(claimId)).toEqual(first)
  })

  test('a snapshot that has to go is seen by its node alone, until that has removed it', async context => {
    const {instanceSnapshots, instances} = await open(context)
    const {id: instanceId, ownerId} = await instances.insert(newInstance())
    const at = '2026-01-01T00:00:00.000Z'
    const snapshot = (name: string) => ({
      ...{id: randomUUID(), createdAt: at, updatedAt: at, name, instanceId, nodeId: 'n1', ownerId, createdBy: 'ann'},
      ...{state: 'creating' as const, imageId: '', sizeBytes: null},
    })
    const first = await instanceSnapshots.insert(snapshot('first'))
    const second = await instanceSnapshots.insert(snapshot('second'))

    await expect(instanceSnapshots.insert(snapshot('first'))).rejects.toMatchObject({code: 'name_taken'})
    await instanceSnapshots.save({...first, state: 'ready', sizeBytes: 5})
    expect(await instanceSnapshots.list(instanceId)).toEqual([{...first, state: 'ready', sizeBytes: 5}, second])
    expect(await instanceSnapshots.letGo(instanceId, first.id)).toEqual(['n1'])
    expect(await instanceSnapshots.find(first.id)).toBeUndefined()
    expect(await instanceSnapshots.list(instanceId)).toEqual([second])
    const again = await instanceSnapshots.insert(snapshot('first'))
    expect(await instanceSnapshots.going('n1')).toEqual([{instanceId, snapshotId: first.id}])
    await instanceSnapshots.forget('n1', first.id)
    await instanceSnapshots.forget('n1', second.id)
    expect(await instanceSnapshots.going('n1')).toEqual([])
    expect(await instanceSnapshots.letGo(instanceId)).toEqual(['n1'])
    expect(await instanceSnapshots.going('n1')).toHaveLength(2)
    await instanceSnapshots.forgetNode('n1')
    expect(await instanceSnapshots.insert({...again, id: randomUUID()})).toMatchObject({name: 'first'})
  })

  test('what an allocation holds of processors and memory changes until it is over', async context => {
    const {allocations} = await open(context)
    const {id} = await allocations.bind(newAllocation('n1', [3]))

    await allocations.resize(id, {cpus: 1.5, memoryMiB: 512})
    expect(await allocations.find(id)).toMatchObject({cpus: 1.5, memoryMiB: 512, gpus: [{index: 3}], releasedAt: null})

    const at = '2026-01-02T00:00:00.000Z'
    await allocations.release(id, at)
    await allocations.resize(id, {cpus: 9, memoryMiB: 9})
    expect(await allocations.find(id)).toMatchObject({cpus: 1.5, memoryMiB: 512, releasedAt: at})
  })

  test('F13: of two claims for one GPU exactly one gets it, 1,000 times', async context => {
    const store = await open(context)
    let doubles = 0
    for (let round = 0; round < 1000; round++) {
      const bindings = await Promise.allSettled(
        [1, 2].map(() => store.transaction(tx => tx.allocations.bind(newAllocation('n1', [3])))),
      )
      const winners = bindings.flatMap(binding => (binding.status === 'fulfilled' ? [binding.value] : []))
      const losers = bindings.flatMap(binding => (binding.status === 'rejected' ? [binding.reason] : []))
      expect(losers).toEqual([expect.any(GpuTaken)])
      if (winners.length !== 1) doubles++
      await store.allocations.release(winners[0]!.id, at)
    }
    expect(doubles).toBe(0)
    expect(await store.allocations.listLive()).toEqual([])
  })

  test('parts of a GPU are given until its memory is, and never beside a whole one', async context => {
    const {allocations} = await open(context)
    const part = (memoryMiB: number, indexes = [0]) => newAllocation('n1', indexes, randomUUID(), memoryMiB)
    const first = await allocations.bind(part(10_240))
    await allocations.bind(part(10_240, [0, 1]))

    await expect(allocations.bind(part(8192))).rejects.toThrow(GpuTaken)
    await expect(allocations.bind(newAllocation('n1', [0]))).rejects.toThrow(GpuTaken)
    // What it had got of the first card is given back when the second one is refused.
    await allocations.bind(newAllocation('n1', [2]))
    await expect(allocations.bind(part(4096, [1, 2]))).rejects.toThrow(GpuTaken)
    await allocations.bind(part(14_336, [1]))
    await expect(allocations.bind(part(30_000, [3]))).rejects.toThrow(GpuTaken)

    await allocations.release(first.id, at)
    await allocations.release(first.id, at)
    await allocations.bind(part(14_336))
    await expect(allocations.bind(part(1))).rejects.toThrow(GpuTaken)
    for (const {id} of await allocations.listLive()) await allocations.release(id, at)
    await allocations.bind(newAllocation('n1', [0, 1, 2, 3]))
  })

  test('of ten claims at once for quarters of one GPU four get one, 100 times, and one whole claim none or all', async context => {
    const store = await open(context)
    for (let round = 0; round < 100; round++) {
      const wishes = Array.from({length: 10}, () => newAllocation('n1', [0], randomUUID(), 6144))
      const whole = newAllocation('n1', [0])
      const outcomes = await Promise.allSettled(
        [whole, ...wishes].map(wish => store.transaction(tx => tx.allocations.bind(wish))),
      )
      const live = await store.allocations.listLive()
      const isWhole = live.some(({id}) => id === whole.id)
      expect(live).toHaveLength(isWhole ? 1 : 4)
      const refused = outcomes.flatMap(one => (one.status === 'rejected' ? [one.reason] : []))
      expect(refused.every(reason => reason instanceof GpuTaken)).toBe(true)
      await Promise.all(live.map(({id}) => store.transaction(tx => tx.allocations.release(id, at))))
    }
    await store.allocations.bind(newAllocation('n1', [0]))
  })

  test('volumes are remembered by node until they are gone', async context => {
    const {volumes} = await open(context)
    const [claimId, other] = [randomUUID(), randomUUID()]
    const name = `gpuctl-${claimId}-data`
    for (const nodeId of ['n1', 'n1', 'n2']) await volumes.note({name, nodeId, claimId})
    await volumes.note({name: 'another', nodeId: 'n1', claimId: other})

    expect(await volumes.going('n1')).toEqual([])
    expect((await volumes.letGo(claimId)).sort()).toEqual(['n1', 'n2'])
    expect(await volumes.going('n1')).toEqual([name])
    await volumes.forget('n1', name)
    await volumes.forget('n1', 'another')
    expect(await volumes.going('n1')).toEqual([])
    expect(await volumes.going('n2')).toEqual([name])
    expect(await volumes.letGo(other)).toEqual(['n1'])
    await volumes.forgetNode('n2')
    expect(await volumes.going('n2')).toEqual([])
  })

  test('images and specs have unique names and can be changed', async context => {
    const {images} = await open(context)
    const fields = {address: 'cuda:12', description: '', source: '', memorySplit: false, listed: true, remark: ''}
    const base = {createdAt: at, updatedAt: at, ...fields}
    const cuda = await images.insert({id: randomUUID(), name: 'cuda', ...base})
    const torch = await images.insert({id: randomUUID(), name: 'torch', ...base})

    await expect(images.insert({id: randomUUID(), name: 'cuda', ...base})).rejects.toMatchObject({code: 'name_taken'})
    await expect(images.save({...torch, name: 'cuda'})).rejects.toMatchObject({code: 'name_taken'})
    await images.save({...cuda, listed: false})

    expect(await images.findByName('cuda')).toEqual({...cuda, listed: false})
    expect(await images.findByNumber(torch.number)).toEqual(torch)
    await images.delete(cuda.id)
    expect(await images.list()).toEqual([torch])
  })

  test('events are listed oldest first, on from a number, and pruned', async context => {
    const {events} = await open(context)
    const numbers: number[] = []
    for (let i = 0; i < 10; i++) numbers.push((await events.append(newEvent({objectName: `c${i}`}))).number)
    await events.append(newEvent({kind: 'node'}))

    expect((await events.list({kind: 'claim', limit: 2})).map(({number}) => number)).toEqual(numbers.slice(-2))
    expect(await events.list({object: 'c3'})).toMatchObject([{objectName: 'c3'}])
    await eventually(async () => (await events.list({after: numbers[4]!})).length === 6)
    expect((await events.list({after: numbers[4]!, limit: 2})).map(({number}) => number)).toEqual(numbers.slice(5, 7))
    expect(await events.prune(4)).toBe(7)
    expect(await events.prune(4)).toBe(0)
    expect(await events.list({})).toHaveLength(4)
  })

  test('audit, settings and idempotency keys are kept', async context => {
    const {audit, settings, idempotency} = await open(context)
    const entry = {at, actor: 'root', action: 'nodes.approve', object: 'n1', requestId: 'r1', details: {code: 'XK7M2'}}
    await audit.append([entry])
    await audit.append([{...entry, requestId: 'r2'}])
    await settings.set('serverId', 'a')
    await settings.set('serverId', 'b')
    await idempotency.insert({ownerId: 'o', key: 'k', bodyHash: 'h', resultId: 'c', at})

    expect(await audit.list(5)).toEqual([
      {...entry, requestId: 'r2', number: 2},
      {...entry, number: 1},
    ])
    expect(await settings.get('serverId')).toBe('b')
    expect(await settings.get('nothing')).toBeUndefined()
    expect(await idempotency.find('o', 'k')).toEqual({bodyHash: 'h', resultId: 'c'})
    expect(await idempotency.prune('2026-01-02T00:00:00.000Z')).toBe(1)
    expect(await idempotency.find('o', 'k')).toBeUndefined()
  })

  test('one request that comes twenty times at once under one key is done once', async context => {
    const store = await open(context)
    const submit = async (tx: Tables) => {
      const known = await tx.idempotency.find('o', 'k')
      if (known) return known.resultId
      const {id} = await tx.claims.insert(newClaim())
      await tx.idempotency.insert({ownerId: 'o', key: 'k', bodyHash: 'h', resultId: id, at})
      return id
    }

    const ids = await Promise.all(Array.from({length: 20}, () => store.transaction(submit)))

    expect(new Set(ids).size).toBe(1)
    expect(await store.claims.list({})).toHaveLength(1)
  })

  test('a quota that is checked under the lock of its user is never exceeded', async context => {
    const store = await open(context)
    const {id: ownerId} = await store.users.insert(newUser({gpuQuota: 4}))
    const submit = async (tx: Tables) => {
      const {gpuQuota} = (await tx.users.lock(ownerId))!
      if ((await tx.claims.gpusHeldBy(ownerId)) >= gpuQuota!) return false
      await tx.claims.insert(newClaim({ownerId}))
      return true
    }

    const granted = await Promise.all(Array.from({length: 40}, () => store.transaction(submit)))

    expect(granted.filter(Boolean)).toHaveLength(4)
    expect(await store.claims.gpusHeldBy(ownerId)).toBe(4)
  })

  test('a transaction that fails is undone alone, and nobody sees its rows before the commit', async context => {
    const store = await open(context)
    const seen: number[] = []
    const fails = async (tx: Tables) => {
      await tx.settings.set('a', 'x')
      seen.push((await store.settings.get('a')) === undefined ? 0 : 1)
      throw new Error('changed my mind')
    }
    const outcomes = await Promise.allSettled([
      store.transaction(tx => tx.settings.set('b', 'x')),
      store.transaction(fails),
      store.transaction(tx => tx.settings.set('c', 'x')),
    ])

    expect(outcomes.map(({status}) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(seen).toEqual([0])
    expect([await store.settings.get('a'), await store.settings.get('b'), await store.settings.get('c')]).toEqual([
      undefined,
      'x',
      'x',
    ])
  })

  test('a transaction that awaits something other than the store fails, and the next one goes through', async context => {
    const store = await open(context)
    let wake = () => {}
    const stuck = store.transaction(async tx => {
      await tx.settings.set('a', 'x')
      await new Promise<void>(resolve => {
        wake = resolve
      })
      await tx.settings.set('a', 'y')
    })
    const next = store.settings.set('b', 'x')
    const timer = setTimeout(() => wake(), 3_000)
    onTestFinished(() => clearTimeout(timer))

    await expect(stuck).rejects.toThrow('something other than the store')
    await next
    expect(await store.settings.get('a')).toBeUndefined()
  })

  test('F1: a store that is closed and opened again has all, and numbers go on', async context => {
    const where = await place(context)
    const before = await openAt(where)
    const first = await before.claims.insert(newClaim())
    await before.close()

    const after = await openAt(where)
    const second = await after.claims.insert(newClaim())

    expect(await after.claims.find(first.id)).toEqual(first)
    expect(second.number).toBeGreaterThan(first.number)
  })

  test('F23: a step that fails changes nothing, and a schema of a newer program is refused', async context => {
    const where = await place(context)
    const statements = ({text}: {text: string}) => [`CREATE TABLE later (name ${text})`]
    const newest = migrations.at(-1)!.version
    const next = {version: newest + 1, name: 'later', statements}
    const broken = {version: newest + 2, name: 'broken', statements: () => ['CREATE TABLE nonsense (']}
    const openWith = async (steps: typeof migrations) => {
      const store = await openStore({at: where, onFatal: () => {}, migrations: steps})
      await store.close()
    }
    await openWith(migrations)
    await expect(openWith([...migrations, next, broken])).rejects.toThrow()
    await openWith(migrations)

    await openWith([...migrations, next])
    await openWith([...migrations, next])

    await expect(openWith(migrations)).rejects.toMatchObject({
      name: 'StoreUnusable',
      message: expect.stringContaining(
        `newer gpuctl: its schema is version ${newest + 1}, this program knows up to ${newest}`,
      ),
    })
  })
})
