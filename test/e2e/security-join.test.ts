import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {saveIdentity} from '../../src/agent/identity.ts'
import {contract} from '../../src/contract/contract.ts'
import type {Operation} from '../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import type {Node} from '../../src/contract/schemas/nodes.ts'
import {startNodeAgent} from '../../src/main/node-agent.ts'
import {ensurePrivateDirectory} from '../../src/platform/files.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {type ControlPlane, controlPlane, inParallel, median, type Reply} from '../support/control-plane.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

const alphabet = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'
const host = (at: number) => `127.0.${1 + Math.floor(at / 200)}.${1 + (at % 200)}`

function poll(plane: ControlPlane, code: string, secret: string | undefined, localAddress: string): Promise<Reply> {
  return plane.ask('nodes.joinStatus', {code}, {localAddress, headers: secret ? {'x-join-secret': secret} : {}})
}

function guess(at: number): string {
  return Array.from(
    {length: 5},
    (_, place) => alphabet[Math.floor(at / alphabet.length ** place) % alphabet.length],
  ).join('')
}

/** An answer without what differs between any two calls. */
function bare({status, headers, text}: Reply): unknown {
  const {date: _, 'x-request-id': requestId, ...others} = headers
  return {status, headers: others, text: text.replaceAll(String(requestId), 'ID')}
}

describe('T1: who polls for codes', () => {
  test('T1: 4,000 guesses and 192 stolen codes against 64 approved nodes, from 20 addresses: no key', async () => {
    const plane = await controlPlane()
    const asked = await inParallel([...Array(64).keys()], 8, at => plane.joinRequest(`gpu-${at}`, host(at)))
    for (const {code} of asked) await plane.ok('nodes.approve', {node: code}, {token: plane.adminToken})

    // Every third try knows a code, and has no secret, a wrong one, or that of another node.
    const thefts = asked.flatMap(({code}, at) => {
      const secrets = [undefined, 'x'.repeat(43), asked[(at + 1) % asked.length]?.pollSecret]
      return secrets.map(secret => ({code, secret}))
    })
    const guesses = Array.from({length: 4_000}, (_, at) => ({
      code: guess(at * 4_771),
      secret: at % 2 ? 'y'.repeat(43) : undefined,
    }))
    const step = Math.floor(guesses.length / thefts.length)
    const tries = guesses.flatMap((one, at) =>
      at % step === 0 && thefts[at / step] ? [one, thefts[at / step]!] : [one],
    )
    const answers = await inParallel(tries, 24, ({code, secret}, at) =>
      poll(plane, code, secret, host(100 + (at % 20))),
    )

    expect(tries).toHaveLength(4_192)
    expect(answers.filter(({text}) => text.includes('gpn_'))).toEqual([])
    expect(answers.filter(({status}) => status === 429).length).toBeGreaterThan(3_000)
    // Whom the codes belong to gets the key all the same, also from an address that was blocked for its misses.
    const {code, pollSecret} = asked[0]!
    expect((await poll(plane, code, pollSecret, host(100))).json.nodeKey).toMatch(/^gpn_/)
  })

  test('T1: a wrong secret, no such code and an expired code get the same bytes', async () => {
    const plane = await controlPlane()
    const {code, pollSecret, requestId} = await plane.joinRequest('gpu-1')
    const wrong = bare(await poll(plane, code, 'x'.repeat(43), host(1)))
    expect(wrong).toMatchObject({status: 404})

    await plane.whileStopped(async store => {
      const node = await store.nodes.find(requestId)
      await store.nodes.save({...node!, codeExpiresAt: new Date(Date.now() - 1).toISOString()})
    })
    const expired = await Promise.all([pollSecret, undefined].map(secret => poll(plane, code, secret, host(2))))
    await plane.whileStopped(store => store.transaction(tx => tx.nodes.delete(requestId)))
    const unknown = await Promise.all([pollSecret, undefined].map(secret => poll(plane, code, secret, host(3))))

    for (const answer of [...expired, ...unknown]) expect(bare(answer)).toEqual(wrong)
  })

  test('T1: by the time of the answer a live code cannot be told from a free one (medians of 200 within 1 ms)', async () => {
    const plane = await controlPlane()
    const {code} = await plane.joinRequest('gpu-1')
    let asked = 0
    const measure = async () => {
      const times: Record<'live' | 'free', number[]> = {live: [], free: []}
      for (let at = 0; at < 420; at++) {
        const kind = at % 2 ? 'live' : 'free'
        const from = host(Math.floor(asked++ / 8))
        const began = performance.now()
        const {status} = await poll(plane, kind === 'live' ? code : guess(asked * 31), 'x'.repeat(43), from)
        if (at >= 20) times[kind].push(performance.now() - began)
        expect(status).toBe(404)
      }
      return Math.abs(median(times.live) - median(times.free))
    }
    // Another program on the machine may disturb a round; a difference that is there is there in all of them.
    const differences: number[] = []
    do differences.push(await measure())
    while (differences.length < 4 && Math.min(...differences) >= 1)

    expect(Math.min(...differences)).toBeLessThan(1)
  })

  test('T1: 60 codes, 20 pollers at once with the right secret for each: one key of each node is valid', async () => {
    const plane = await controlPlane()
    const asked = await inParallel([...Array(60).keys()], 8, at => plane.joinRequest(`gpu-${at}`, host(at)))
    await inParallel(asked, 8, ({code}) => plane.ok('nodes.approve', {node: code}, {token: plane.adminToken}))

    const beats = {valid: 0, refused: 0}
    await inParallel(asked, 5, async ({code, pollSecret}, at) => {
      const answers = await Promise.all(Array.from({length: 20}, () => poll(plane, code, pollSecret, host(at))))
      const keys = answers.map(({json}) => json.nodeKey as string)
      expect(new Set(keys).size).toBe(20)
      const used = await Promise.all(
        keys.map((token, sequence) => plane.ask('nodes.beat', {bootId: 'b', sequence}, {token})),
      )
      const valid = used.filter(({status}) => status === 200).length
      expect([at, valid]).toEqual([at, 1])
      beats.valid += valid
      beats.refused += used.filter(({status}) => status === 401).length
    })
    expect(beats).toEqual({valid: 60, refused: 1_140})
  })
})

test('T1: a key that is fetched again after its first use is worth nothing, and the link that it opened is cut', async () => {
  const plane = await controlPlane()
  const {code, pollSecret, nodeId, nodeKey} = await plane.node('gpu-1')
  const {links} = await startAgent(plane, {nodeId, nodeKey})
  await eventually(() => links.at(-1) === 'up')

  const second = await poll(plane, code, pollSecret, host(1))

  expect([second.status, second.json.error.code]).toEqual([403, 'node_suspended'])
  await eventually(() => links.at(-1) === 'refused', {withinMs: 3_000})
  expect((await plane.ask('nodes.beat', {bootId: 'b', sequence: 99}, {token: nodeKey})).status).toBe(401)
  const node = await plane.ok<Node>('nodes.get', {id: nodeId}, {token: plane.adminToken})
  expect(node.connected).toBe(false)
  const events = await plane.ok<{type: string}[]>('events.list', {}, {token: plane.adminToken})
  expect(events.map(({type}) => type)).toContain('security.key_redeemed_twice')
})

/** An agent that has its key; the states of its link, as they came. */
async function startAgent(plane: ControlPlane, {nodeId, nodeKey}: {nodeId: string; nodeKey: string}) {
  const directory = join(await temporaryDirectory(), 'agent')
  const {serverId} = await plane.ok<{serverId: string}>('server.version')
  await ensurePrivateDirectory(directory)
  await saveIdentity(join(directory, 'identity.json'), {server: plane.url, serverId, nodeId, nodeKey, name: 'gpu-1'})
  const links: string[] = []
  const stop = new AbortController()
  const agent = await startNodeAgent({
    server: plane.url,
    directory,
    version: '0.0.0-test',
    logger: createLogger({level: 'silent'}),
    runtime: 'fake',
    fakeGpus: '1',
    onJoin: {code: () => {}, waiting: () => {}},
    onLink: state => void links.push(state),
    signal: stop.signal,
  })
  onTestFinished(async () => {
    stop.abort()
    await agent.stop()
  })
  return {links}
}

describe('T2: a flood of join requests', () => {
  test('T2: 2,000 from one address: eight wait, the rest get 429; another machine joins within 2 s meanwhile', async () => {
    const plane = await controlPlane()
    const statuses: number[] = []
    const flood = inParallel([...Array(2_000).keys()], 40, async at => {
      const {status, headers} = await plane.ask('nodes.join', {hostname: `flood-${at}`}, {localAddress: '127.0.0.2'})
      if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      statuses.push(status)
    })
    while (statuses.length < 200) await new Promise(resolve => setImmediate(resolve))
    const began = performance.now()
    const honest = await plane.joinRequest('honest', '127.0.0.3')
    const tookMs = performance.now() - began
    expect(statuses.length).toBeLessThan(2_000)
    await flood

    expect(tookMs).toBeLessThan(2_000)
    expect(statuses.filter(status => status === 201)).toHaveLength(8)
    expect(statuses.filter(status => status === 429)).toHaveLength(1_992)
    const waiting = await plane.ok<Node[]>('nodes.list', {pending: true}, {token: plane.adminToken})
    expect(waiting).toHaveLength(9)
    expect(waiting.map(({code}) => code)).toContain(honest.code)
  })

  test('T2: a request that is too large, or whose name is no host name, is refused', async () => {
    const plane = await controlPlane()
    const join = (input: Record<string, unknown>) => plane.ask('nodes.join', input)

    expect((await join({hostname: 'gpu-1', labels: {a: 'x'.repeat(4_096)}})).status).toBe(413)
    for (const hostname of ['x'.repeat(254), '', '-a', 'a b', 'a\u001b[31m', '../../etc', 'a\nb', 'ａ']) {
      expect([hostname, (await join({hostname})).status]).toEqual([hostname, 400])
    }
    expect(await plane.ok('nodes.list', {pending: true}, {token: plane.adminToken})).toEqual([])
  })
})

describe('T3: nobody takes over a node', () => {
  test('T3: no operation that needs no key changes an active node, whatever is asked of it', async () => {
    const plane = await controlPlane()
    const {nodeId, code, pollSecret} = await plane.node('gpu-1')
    await plane.ok('nodes.joinStatus', {code}, {headers: {'x-join-secret': pollSecret}})
    const read = () => plane.ok<Node>('nodes.get', {id: nodeId}, {token: plane.adminToken})
    const before = await read()

    for (const name of Object.keys(routes) as OperationName[]) {
      const {access}: Operation = contract[name]
      for (const id of [nodeId, 'gpu-1', String(before.number)]) {
        const target = {id, node: id, code, hostname: 'gpu-1', confirm: 'gpu-1', username: id, password: id}
        const [method, path] = routes[name].split(' ') as [string, string]
        const at = `${apiPrefix}${path.replace(':id', id).replace(':code', code)}`
        const body = method === 'GET' || method === 'DELETE' ? undefined : target
        const {status} = await plane.call(method, at, {body, localAddress: host(name.length)})
        if (access !== 'public') expect([name, status]).toEqual([name, 401])
      }
    }
    await plane.joinRequest('gpu-1', host(50))

    expect(await read()).toEqual(before)
    expect(await plane.ok<Node[]>('nodes.list', {pending: true}, {token: plane.adminToken})).toMatchObject([
      {hostname: 'gpu-1', nameTaken: true, admission: 'pending'},
    ])
  })
})
