import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {Beat} from '../../../src/contract/schemas/nodes.ts'
import {FleetMemory} from '../../../src/domain/fleet-memory.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {gpuNode, peer, world} from '../../support/world.ts'

const from = (address: string) => ({...peer, address})

describe('joining', () => {
  test('T1: unknown, expired and wrongly kept codes get the same answer', async () => {
    const {services, clock} = await world()
    const {code} = await services.nodes.join({hostname: 'gpu-1'}, peer)
    const ask = (asked: string, pollSecret?: string) =>
      services.nodes.joinStatus({code: asked, pollSecret}, from('192.0.2.9')).catch(error => error)

    const wrong = await ask(code, 'wrong')
    clock.advance(16 * 60_000)
    const expired = await ask(code, 'wrong')

    expect({...wrong, message: wrong.message}).toEqual({...expired, message: expired.message})
    expect(wrong).toMatchObject({code: 'code_unknown'})
    expect(await ask('ZZZZZ')).toMatchObject({code: 'code_unknown'})
  })

  test('one that was admitted and never fetched its key goes with its code, and its name is free again', async () => {
    const {services, admin, clock} = await world()
    const [lost, came] = await Promise.all(['gpu-1', 'gpu-2'].map(hostname => services.nodes.join({hostname}, peer)))
    for (const one of [lost, came]) await services.nodes.approve({node: one?.code ?? ''}, admin)
    await services.nodes.joinStatus(came as {code: string}, peer)

    clock.advance(11 * 60_000)
    await services.server.maintain()

    expect((await services.nodes.list({}, admin)).map(({name}) => name)).toEqual(['gpu-2'])
    const again = await services.nodes.join({hostname: 'gpu-1'}, peer)
    expect(await services.nodes.approve({node: again.code}, admin)).toMatchObject({name: 'gpu-1'})
  })

  test('T1: ten misses of an address block it, but not who has the right secret', async () => {
    const {services, admin} = await world()
    const asked = await services.nodes.join({hostname: 'gpu-1'}, peer)
    await services.nodes.approve({node: asked.code}, admin)
    for (let miss = 0; miss < 10; miss++) {
      await expect(services.nodes.joinStatus({code: 'ZZZZZ'}, peer)).rejects.toMatchObject({code: 'code_unknown'})
    }

    await expect(services.nodes.joinStatus({code: asked.code}, peer)).rejects.toMatchObject({code: 'too_many'})
    const {nodeKey} = await services.nodes.joinStatus(asked, peer)
    expect(nodeKey).toMatch(/^gpn_/)
  })

  test('T1: 40 codes, 20 pollers each at once: of all keys given one a node is valid, none goes to a wrong secret', async () => {
    const {services, admin} = await world()
    const asked = await Promise.all(
      Array.from({length: 40}, (_, at) => services.nodes.join({hostname: `gpu-${at}`}, from(`10.0.0.${at}`))),
    )
    for (const {code} of asked) await services.nodes.approve({node: code}, admin)
    const poll = async ({code, pollSecret}: {code: string; pollSecret: string}, at: number) => {
      const secret = at % 2 === 0 ? pollSecret : `${pollSecret}x`
      const answer = await services.nodes
        .joinStatus({code, pollSecret: secret}, from(`10.1.${at}.1`))
        .catch(() => undefined)
      expect(at % 2 === 1 && answer?.nodeKey).toBeFalsy()
      return answer?.nodeKey ?? undefined
    }

    const keys = await Promise.all(asked.map(one => Promise.all(Array.from({length: 20}, (_, at) => poll(one, at)))))

    for (const ofNode of keys) {
      const given = ofNode.filter(key => key !== undefined)
      expect(given.length).toBe(10)
      const valid = await Promise.allSettled(given.map(key => services.nodes.authenticate(key)))
      expect(valid.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    }
  })

  test('a key that is fetched again after its first use suspends the node', async () => {
    const {services, admin} = await world()
    const asked = await services.nodes.join({hostname: 'gpu-1'}, peer)
    await services.nodes.approve({node: asked.code}, admin)
    const first = await services.nodes.joinStatus(asked, peer)
    const second = await services.nodes.joinStatus(asked, peer)
    await expect(services.nodes.authenticate(first.nodeKey!)).rejects.toMatchObject({code: 'token_invalid'})
    await services.nodes.authenticate(second.nodeKey!)

    await expect(services.nodes.joinStatus(asked, peer)).rejects.toMatchObject({code: 'node_suspended'})

    await expect(services.nodes.authenticate(second.nodeKey!)).rejects.toMatchObject({code: 'token_invalid'})
    const events = await services.events.list({kind: 'node'}, admin)
    expect(events.map(({type}) => type)).toContain('security.key_redeemed_twice')
  })

  test('T2: at most eight wait from one address and 256 in all; a join token is not counted', async () => {
    const {services, admin} = await world()
    for (let at = 0; at < 8; at++) await services.nodes.join({hostname: `flood-${at}`}, peer)
    await expect(services.nodes.join({hostname: 'one-more'}, peer)).rejects.toMatchObject({code: 'too_many'})
    await services.nodes.join({hostname: 'honest'}, from('192.0.2.77'))

    const {secret} = await services.joinTokens.create({uses: 1, autoApprove: true}, admin)
    const invited = await services.nodes.join({hostname: 'invited', joinToken: secret}, peer)
    expect((await services.nodes.joinStatus(invited, peer)).nodeKey).toMatch(/^gpn_/)
    await expect(services.nodes.join({hostname: 'late', joinToken: secret}, peer)).rejects.toMatchObject({
      code: 'token_invalid',
    })
  })

  test('T3: whatever anonymous callers do, an active node stays as it was', async () => {
    const {services, store, agent} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const before = await store.nodes.find(agent('gpu-1').nodeId)
    const step = fc.oneof(
      fc.record({join: fc.constantFrom('gpu-1', 'other'), joinToken: fc.option(fc.string(), {nil: undefined})}),
      fc.record({code: fc.string(), secret: fc.option(fc.string(), {nil: undefined})}),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, {maxLength: 6}), async steps => {
        for (const one of steps) {
          const call =
            'join' in one
              ? services.nodes.join({hostname: one.join, joinToken: one.joinToken}, peer)
              : services.nodes.joinStatus({code: one.code, pollSecret: one.secret}, peer)
          await call.catch(() => undefined)
        }
        expect(await store.nodes.find(agent('gpu-1').nodeId)).toEqual(before)
      }),
      {numRuns: 25},
    )
  })

  test('T3: a second machine of the same name is marked, and gets a name of its own', async () => {
    const {services, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const {code} = await services.nodes.join({hostname: 'gpu-1'}, peer)
    expect(await services.nodes.list({pending: true}, admin)).toMatchObject([{code, nameTaken: true}])

    expect(await services.nodes.approve({node: code}, admin)).toMatchObject({name: 'gpu-1-2', hostname: 'gpu-1'})
  })

  test('F14: 16 approvals and rejections at once: one wins, the others see its result', async () => {
    const {services, admin} = await world()
    for (let round = 0; round < 20; round++) {
      const {code} = await services.nodes.join({hostname: `gpu-${round}`}, from(`10.0.0.${round}`))
      const calls = Array.from({length: 16}, (_, at) =>
        at % 4 === 3 ? services.nodes.reject({node: code}, admin) : services.nodes.approve({node: code}, admin),
      )
      const settled = await Promise.allSettled<unknown>(calls)
      const approved = settled.filter((one, at) => at % 4 !== 3 && one.status === 'fulfilled')
      const rejected = settled.filter((one, at) => at % 4 === 3 && one.status === 'fulfilled')
      expect(approved.length > 0 ? rejected.length : approved.length).toBe(0)
      if (approved.length > 0) {
        const [first, ...rest] = approved.map(one => (one as PromiseFulfilledResult<{version?: number}>).value)
        for (const other of rest) expect(other).toEqual(first)
      } else expect(rejected).toHaveLength(1)
    }
  })

  test('approving an expected host refuses another one, and a mistyped letter says so', async () => {
    const {services, admin} = await world()
    const {code} = await services.nodes.join({hostname: 'gpu-1'}, peer)

    await expect(services.nodes.approve({node: code, expectHost: 'gpu-2'}, admin)).rejects.toMatchObject({
      code: 'host_unexpected',
    })
    await expect(services.nodes.approve({node: 'XK7M0'}, admin)).rejects.toMatchObject({code: 'code_malformed'})
    const spaced = `${code.slice(0, 2).toLowerCase()}-${code.slice(2)}`
    expect(await services.nodes.approve({node: spaced}, admin)).toMatchObject({admission: 'active', name: 'gpu-1'})
  })

  test('an address that is blocked with a rejection asks no more until its time is over, also after a restart, but with a join token', async () => {
    const plane = await world()
    const {admin, clock} = plane
    const [outside, office] = [from('192.0.2.7'), from('192.0.2.8')]
    const asks = (peerOf: typeof peer, joinToken?: string) =>
      plane.services.nodes.join({hostname: 'gpu-1', joinToken}, peerOf)
    const refused = (joinToken?: string) =>
      expect(asks(outside, joinToken)).rejects.toMatchObject({
        code: joinToken === undefined ? 'join_blocked' : 'token_invalid',
      })

    await plane.services.nodes.reject({node: (await asks(outside)).code}, admin)
    const {code} = await asks(outside)
    await plane.services.nodes.reject({node: code, blockAddressSeconds: 3_600}, admin)
    await refused()
    const {secret} = await plane.services.joinTokens.create({uses: 1}, admin)
    await expect(asks(office)).resolves.toMatchObject({code: expect.any(String)})
    await expect(asks(outside, secret)).resolves.toMatchObject({code: expect.any(String)})
    await refused('gpj_wrong')

    await plane.restart()
    clock.advance(3_599_000)
    await refused()
    clock.advance(1_001)
    await expect(asks(outside)).resolves.toMatchObject({code: expect.any(String)})
    expect((await plane.store.audit.list(100)).find(({details}) => details.until)).toMatchObject({
      ...{action: 'nodes.reject', details: {blockedAddress: '192.0.2.7', until: expect.any(String)}},
    })
  })

  test('a quota comes with the approval or not at all, and asking for another one later is refused', async () => {
    const {services, admin} = await world()
    const {code} = await services.nodes.join({hostname: 'gpu-1'}, peer)
    const quota = () => services.nodes.quota({id: 'gpu-1'}, admin)

    await expect(services.nodes.approve({node: code, storageQuotaGb: 1001}, admin)).rejects.toMatchObject({
      ...{code: 'quota_too_large', details: {name: 'gpu-1', asked: 1001, available: 1000}},
    })
    expect(await services.nodes.list({pending: true}, admin)).toHaveLength(1)
    await services.nodes.approve({node: code, storageQuotaGb: 200, labels: {zone: 'a'}}, admin)
    expect(await quota()).toMatchObject({storageQuotaGb: 200})
    const [entry] = await services.audit.list({limit: 1}, admin)
    expect(entry).toMatchObject({action: 'nodes.approve', details: {name: 'gpu-1', storageQuotaGb: 200}})

    await services.nodes.approve({node: code, storageQuotaGb: 200, labels: {zone: 'a'}}, admin)
    await services.nodes.approve({node: code}, admin)
    for (const more of [{storageQuotaGb: 100}, {labels: {zone: 'b'}}]) {
      await expect(services.nodes.approve({node: code, ...more}, admin)).rejects.toMatchObject({
        code: 'node_not_pending',
      })
    }
    expect(await quota()).toMatchObject({storageQuotaGb: 200})
  })

  test('waiting requests survive a restart and expire', async () => {
    const made = await world()
    const {code} = await made.services.nodes.join({hostname: 'gpu-1'}, peer)
    await made.restart()
    expect(await made.services.nodes.list({pending: true}, made.admin)).toMatchObject([{code}])

    made.clock.advance(16 * 60_000)
    await made.services.server.maintain()

    expect(await made.store.nodes.list()).toEqual([])
    await expect(made.services.nodes.approve({node: code}, made.admin)).rejects.toMatchObject({code: 'code_unknown'})
  })
})

describe('F9: beats', () => {
  test('T5: repeated, shuffled and late beats leave the state of the sorted ones', () => {
    const beats: Beat[] = [1, 2].flatMap(boot =>
      Array.from({length: 6}, (_, sequence) => ({bootId: `boot-${boot}`, sequence, cpuPercent: boot * 10 + sequence})),
    )
    const shuffled = (boot: number) =>
      fc.shuffledSubarray(
        beats.filter(one => one.bootId === `boot-${boot}`),
        {minLength: 6},
      )
    fc.assert(
      fc.property(
        shuffled(1),
        shuffled(2),
        fc.array(fc.constantFrom(...beats), {maxLength: 10}),
        (first, second, again) => {
          const memory = new FleetMemory({clock: new ManualClock()})
          for (const beat of [...first, ...second, ...again]) memory.takeBeat('node', beat)
          expect(memory.beat('node')).toEqual(beats.at(-1))
        },
      ),
    )
  })

  test('F8: after a restart of the server nobody is stale for a minute, whatever the time it was away', () => {
    const clock = new ManualClock()
    const beat = {bootId: 'b', sequence: 1}
    const at = (agoMs: number) => new Date(clock.now() - agoMs).toISOString()
    const memory = new FleetMemory({clock})

    memory.restore([
      {nodeId: 'alive', at: at(600_000), beat},
      {nodeId: 'dead', at: at(2_000_000), beat},
    ])

    clock.advance(59_000)
    expect(memory.liveness('alive')).toBe('online')
    expect(memory.liveness('dead')).toBe('offline')
    clock.advance(120_000)
    expect(memory.liveness('alive')).toBe('stale')
  })
})
