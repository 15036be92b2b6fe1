import {once} from 'node:events'
import {connect} from 'node:net'
import {afterEach, describe, expect, test, vi} from 'vitest'
import type {Event} from '../../../src/contract/schemas/server.ts'
import type {Services} from '../../../src/domain/services/services.ts'
import {NodeReadings} from '../../../src/server/node-readings.ts'
import {Entry, Topic} from '../../../src/server/topic.ts'
import {eventually} from '../../support/wait.ts'
import {EventReader} from './event-reader.ts'
import {startWorld, tokens, type World} from './fixture.ts'

const api = '/gpuctl/v1'
let world: World
afterEach(() => world?.stop())

function open(path: string, headers: Record<string, string> = {}, token = tokens.viewer): Promise<EventReader> {
  return EventReader.open(world.port, `${api}${path}`, {authorization: `Bearer ${token}`, ...headers})
}

const typesOf = (reader: EventReader) => reader.events.map(({event, data}) => event ?? data.type)

describe('the event stream', () => {
  test('begins with a comment, says when to retry, and sends what happens', async () => {
    world = await startWorld()
    world.emit('Before')
    const reader = await open('/events/stream')
    world.emit('Now')
    await reader.atLeast(1)

    expect(reader.response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(reader.response.headers['x-request-id']).toBeDefined()
    expect(reader.text).toMatch(/^: gpuctl\nretry: 1000\n\n/)
    expect(reader.events[0]).toMatchObject({id: expect.stringMatching(/^[0-9a-f]{8}-2$/), data: {type: 'Now'}})
  })

  test('leaves out what the reader did not ask for or may not see', async () => {
    world = await startWorld()
    const reader = await open('/events/stream?kind=node')
    world.emit('Claimed', 'claim')
    world.emit('Secret', 'node')
    world.emit('Joined', 'node')

    await reader.atLeast(1)
    expect(typesOf(reader)).toEqual(['Joined'])
  })

  test('F20: goes on after a cut without loss and without doubles', async () => {
    world = await startWorld()
    const first = await open('/events/stream')
    world.emit('One')
    const [one] = await first.atLeast(1)
    first.leave()
    world.emit('Two')
    world.emit('Three')

    const second = await open('/events/stream', {'last-event-id': one?.id ?? ''})
    world.emit('Four')

    await second.atLeast(3)
    expect(typesOf(second)).toEqual(['Two', 'Three', 'Four'])
  })

  test('F20: goes on after a restart of the server, and beyond the ring, from the store', async () => {
    world = await startWorld({settings: {ringEvents: 2}})
    for (let count = 1; count <= 6; count++) world.emit(`E${count}`)

    const reader = await open('/events/stream', {'last-event-id': '0badb007-2'})

    await reader.atLeast(4)
    expect(typesOf(reader)).toEqual(['E3', 'E4', 'E5', 'E6'])
  })

  test('a long absence is caught up at the reader’s pace, however much it is', async () => {
    world = await startWorld()
    world.emit('First')
    const first = await open('/events/stream', {'last-event-id': '0badb007-0'})
    const [one] = await first.atLeast(1)
    first.leave()
    for (let count = 0; count < 900; count++) world.emit(`E${count}`.padEnd(4000, '.'))

    const fromMemory = await open('/events/stream', {'last-event-id': one?.id ?? ''})
    const fromStore = await open('/events/stream', {'last-event-id': '0badb007-1'})

    expect([(await fromMemory.atLeast(900)).length, (await fromStore.atLeast(900)).length]).toEqual([900, 900])
  })

  test('says reset when too much was missed, or the id means nothing', async () => {
    world = await startWorld()
    for (let count = 1; count <= 1500; count++) world.emit(`E${count}`)

    const late = await open('/events/stream', {'last-event-id': '0badb007-1'})
    await late.atLeast(1001)
    expect([typesOf(late)[0], typesOf(late)[1], typesOf(late).at(-1)]).toEqual(['reset', 'E501', 'E1500'])

    const lost = await open('/events/stream', {'last-event-id': 'nonsense'})
    await lost.atLeast(1001)
    expect(typesOf(lost)[0]).toBe('reset')
  })
})

describe('node statistics', () => {
  test('one snapshot at once, then one for each interval, in one serialisation for a hundred readers', async () => {
    world = await startWorld({settings: {statsTickMs: 60}})
    const readers = await Promise.all(Array.from({length: 60}, () => open('/nodes/stats')))
    const more = await Promise.all(Array.from({length: 40}, () => open('/nodes/stats', {}, tokens.user)))
    const all = [...readers, ...more]
    await Promise.all(all.map(reader => reader.atLeast(3)))

    const ids = new Set(all.flatMap(reader => reader.events.map(({id}) => id)))
    expect(all[0]?.events[0]?.data).toMatchObject({nodes: [{name: world.nodes[0]?.name}]})
    expect(world.readingsTaken).toBeLessThanOrEqual(ids.size + 1)
  })

  test('an interval of n gets every n-th tick', async () => {
    world = await startWorld({settings: {statsTickMs: 40}})
    const slow = await open('/nodes/stats?interval=3')
    const fast = await open('/nodes/stats')
    await slow.atLeast(3)

    expect(fast.events.length).toBeGreaterThanOrEqual(5)
  })

  test('no tick is made while nobody watches', () => {
    vi.useFakeTimers()
    try {
      let taken = 0
      const nodes = {readings: () => [taken++]} as unknown as Services['nodes']
      const readings = new NodeReadings({nodes, boot: 'b', tickMs: 1000})
      const leaveOne = readings.watch(1, reading => reading.fleet())
      const leaveOther = readings.watch(2, reading => reading.fleet())
      vi.advanceTimersByTime(4000)
      leaveOne()
      vi.advanceTimersByTime(4000)
      leaveOther()

      expect([taken, vi.getTimerCount()]).toEqual([4 + 2, 0])
    } finally {
      vi.useRealTimers()
    }
  })

  test('one who comes back gets reset and the present state', async () => {
    world = await startWorld()
    const reader = await open('/nodes/stats', {'last-event-id': '0badb007-9'})

    const [first, second] = await reader.atLeast(2)
    expect([first?.event, second?.event, second?.data.nodes.length]).toEqual(['reset', undefined, 1])
  })

  test('one node has its own stream, which ends with it; an unknown one is a plain 404', async () => {
    world = await startWorld({settings: {statsTickMs: 20}})
    const id = world.nodes[0]?.id ?? ''
    const reader = await open(`/nodes/${encodeURIComponent(id)}/stats`)
    const [first] = await reader.atLeast(1)
    world.nodes.length = 0

    await reader.end()
    expect(first?.data.id).toBe(id)
    expect((await world.call(`${api}/nodes/other/stats`, {token: tokens.viewer})).json.error.code).toBe('not_found')
  })
})

describe('logs and instance statistics', () => {
  type Follow = Services['instances']['followLogs']

  function serveLogs(follow: (after: string | undefined, signal: AbortSignal) => AsyncIterable<unknown>): void {
    const serve: Follow = async (_, after, __, signal) => follow(after, signal) as Awaited<ReturnType<Follow>>
    Object.assign(world.services.instances, {followLogs: serve})
  }

  test('carry the source’s own ids and end with the workload', async () => {
    world = await startWorld()
    serveLogs(async function* (after) {
      yield {id: 't2', event: 'log', data: {stream: 'stdout', text: `after ${after}\n`}}
      yield {id: 't3', event: 'end', data: {status: 'exited', exitCode: 3, reason: ''}}
    })
    const reader = await open('/instances/web/logs/events', {'last-event-id': 't1'})
    await reader.end()

    expect(reader.events).toEqual([
      {id: 't2', event: 'log', data: {stream: 'stdout', text: 'after t1\n'}},
      {id: 't3', event: 'end', data: {status: 'exited', exitCode: 3, reason: ''}},
    ])
  })

  test('a source that fails midway says so in the stream', async () => {
    world = await startWorld()
    // biome-ignore lint/correctness/useYield: fails before its first event
    serveLogs(async function* () {
      throw new Error('secret detail')
    })
    const reader = await open('/instances/web/logs/events')
    await reader.end()

    expect(reader.events).toMatchObject([{event: 'failure', data: {error: {code: 'internal'}}}])
    expect(reader.text).not.toContain('secret detail')
  })

  test('a reader that does not read pauses the source, and its going away ends it', async () => {
    world = await startWorld()
    let sent = 0
    let ended = false
    serveLogs(async function* (_, signal) {
      try {
        while (!signal.aborted) {
          sent += 64 * 1024
          yield {id: String(sent), event: 'log', data: {stream: 'stdout', text: 'x'.repeat(64 * 1024)}}
        }
      } finally {
        ended = true
      }
    })
    const socket = await mute('/instances/web/logs/events')
    let before = -1
    await eventually(
      () => {
        const still = before === sent && sent > 0
        before = sent
        return still
      },
      {everyMs: 100},
    )
    expect(sent).toBeLessThan(32 * 1024 * 1024)

    socket.destroy()
    await eventually(() => ended)
  })

  test('instance statistics end when the source ends', async () => {
    world = await startWorld()
    const openStats = async () =>
      (async function* () {
        yield {cpuPercent: 1}
        yield {cpuPercent: 2}
      })()
    Object.assign(world.services.instances, {openStats})
    const reader = await open('/instances/web/stats')
    await reader.end()

    expect(reader.events.map(({event, data}) => event ?? data.cpuPercent)).toEqual([1, 2, 'end'])
  })
})

describe('bounds', () => {
  test('a silent stream is pinged', async () => {
    world = await startWorld({settings: {pingMs: 20}})
    const reader = await open('/events/stream')

    await eventually(() => reader.text.includes(': ping\n\n: ping\n\n'))
  })

  test('F20: a reader that does not read is cut off, and the others get everything', async () => {
    world = await startWorld()
    const socket = await mute('/events/stream')
    const reader = await open('/events/stream')
    const cut = once(socket, 'close')
    await eventually(() => world.app.front.streams.size === 2)

    let events = 0
    while (world.app.front.streams.size === 2 && events < 400) {
      world.emit('x'.repeat(100_000))
      await reader.atLeast(++events)
    }

    expect(world.app.front.streams.size).toBe(1)
    expect(new Set(reader.events.map(({id}) => id)).size).toBe(events)
    socket.resume()
    await cut
  })

  test('T32: so many streams per user and per address, then 429', async () => {
    world = await startWorld({settings: {maxStreamsPerUser: 2, maxStreamsPerAddress: 3}})
    const first = await open('/events/stream')
    await open('/nodes/stats')
    const third = await world.call(`${api}/events/stream`, {token: tokens.viewer})
    await open('/events/stream', {}, tokens.user)
    const fourth = await world.call(`${api}/events/stream`, {token: tokens.user})

    expect([third.status, third.json.error.code, third.headers['retry-after']]).toEqual([429, 'too_many', '10'])
    expect(fourth.status).toBe(429)
    first.leave()
    await eventually(() => world.app.front.streams.size === 2)
    expect((await open('/events/stream')).response.statusCode).toBe(200)
  })

  test('T7: a revoked token ends its streams within a second', async () => {
    world = await startWorld()
    const reader = await open('/events/stream')
    const other = await open('/events/stream', {}, tokens.user)
    world.revoked.add(tokens.viewer)
    world.emit('Revoked', 'token', 't-viewer')

    await reader.end()
    expect(other.ended).toBe(false)
  })

  test('T8: a ticket opens one stream of one path, once', async () => {
    world = await startWorld()
    world.tickets.set('tick', `${api}/events/stream`)
    const wrong = await world.call(`${api}/nodes/stats?ticket=tick`)
    const reader = await EventReader.open(world.port, `${api}/events/stream?ticket=tick`, {})
    const again = await world.call(`${api}/events/stream?ticket=tick`)

    expect([wrong.status, reader.response.statusCode, again.status]).toEqual([401, 200, 401])
    expect(world.log.join('')).not.toContain('tick"')
    world.emit('Changed', 'user', 'id-of-viewer')
    await reader.end()
  })
})

test('a topic makes the bytes of an entry once', () => {
  const topic = new Topic<Event>(10)
  const frames = new Set<Buffer>()
  for (let reader = 0; reader < 100; reader++) topic.subscribe(entry => frames.add(entry.frame))
  topic.publish('a-1', {type: 'x'} as Event)

  expect(frames.size).toBe(1)
  expect(new Entry('a-1', {type: 'x'}).frame).toEqual([...frames][0])
})

/** A connection that asks and then never reads. */
async function mute(path: string) {
  const socket = connect(world.port, '127.0.0.1')
  socket.pause()
  socket.on('error', () => {})
  socket.write(`GET ${api}${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.viewer}\r\n\r\n`)
  await eventually(() => world.app.front.streams.size > 0)
  return socket
}
