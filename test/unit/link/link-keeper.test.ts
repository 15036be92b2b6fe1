import {once} from 'node:events'
import {createServer} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'
import {afterEach, expect, test} from 'vitest'
import {LinkKeeper, type LinkState} from '../../../src/link/link-keeper.ts'
import {createAgentRouter} from '../../../src/link/routes.ts'
import {acceptLink, type ServerLink} from '../../../src/link/server-end.ts'
import {ManualClock} from '../../../src/platform/clock.ts'

const cleanUp: (() => unknown)[] = []

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

/** A server that takes every link, or answers with the status it is told; and an agent that keeps dialling it. */
async function world() {
  const clock = new ManualClock()
  const links: ServerLink[] = []
  const sockets: Socket[] = []
  const states: [LinkState, string][] = []
  const answer = {status: 101}
  const server = createServer()
  server.on('upgrade', (_, socket, head) => {
    sockets.push(socket as Socket)
    if (answer.status === 101) void acceptLink(socket, head).then(link => links.push(link))
    else socket.end(`HTTP/1.1 ${answer.status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(() => server.close())
  const keeper = new LinkKeeper({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/gpuctl/v1/link`,
    token: 'right',
    clock,
    random: () => 0.999,
    handler: createAgentRouter({'GET /who': ({respondJson}) => respondJson(200, {who: 'agent'})}),
    onState: (state, detail) => states.push([state, detail]),
  })
  cleanUp.push(() => keeper.stop())
  keeper.start()
  const reaches = (count: number, state: LinkState) =>
    expect.poll(() => states.filter(([name]) => name === state).length).toBe(count)
  return {clock, keeper, links, sockets, states, answer, server, reaches}
}

test('dials again after a cut, and the new link works', async () => {
  const {clock, links, sockets, reaches} = await world()
  await reaches(1, 'up')

  sockets[0]?.resetAndDestroy()
  await reaches(1, 'down')
  clock.advance(200)
  await reaches(2, 'up')

  expect(await links[1]?.json({path: '/who'})).toEqual({who: 'agent'})
})

test('waits longer and longer, up to 7 s, while the server does not want links', async () => {
  const {clock, answer, states, links, reaches} = await world()
  await reaches(1, 'up')
  answer.status = 503
  links[0]?.close('restart')
  await reaches(1, 'down')

  for (const [index, waitMs] of [200, 400, 800, 1_600, 3_200, 6_400, 7_000, 7_000].entries()) {
    const dials = states.filter(([state]) => state === 'connecting').length
    clock.advance(waitMs * 0.99)
    expect(states.filter(([state]) => state === 'connecting')).toHaveLength(dials)
    clock.advance(waitMs * 0.01)
    await reaches(index + 2, 'down')
  }

  expect(states.at(-1)?.[1]).toContain('503')
})

test('reports a refusal and asks again half a minute later', async () => {
  const {clock, answer, links, states, reaches} = await world()
  await reaches(1, 'up')
  answer.status = 401
  links[0]?.close('token revoked')
  await reaches(1, 'down')
  clock.advance(200)
  await reaches(1, 'refused')
  answer.status = 101

  clock.advance(29_000)
  expect(states.filter(([state]) => state === 'up')).toHaveLength(1)
  clock.advance(1_000)
  await reaches(2, 'up')
})

test('stop closes the link and ends the dialling, also in the middle of a wait', async () => {
  const {keeper, links, states, answer, reaches} = await world()
  await reaches(1, 'up')
  answer.status = 503
  links[0]?.close('restart')
  await reaches(1, 'down')

  await keeper.stop()

  expect(keeper.link).toBeUndefined()
  expect(states.map(([state]) => state)).toEqual(['connecting', 'up', 'down'])
})
