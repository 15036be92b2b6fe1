import {beforeEach, expect, test} from 'vitest'
import {Client} from '../../src/client/client.ts'
import {readText} from '../../src/client/transport.ts'
import {encodeFrame, frameKind} from '../../src/contract/frames.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

/** A user and her client. */
async function person(fleet: WholeFleet, username: string) {
  const password = `Long-enough-${username}`
  const {id} = await fleet.client.call('users.create', {username, password, gpuQuota: 4})
  const {token} = await fleet.client.call('auth.login', {username, password})
  const target = {...(await fleet.client.target()), token}
  return {id, client: new Client({target: async () => target, userAgent: 'gpuctl-test', timeoutMs: 10_000})}
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'allowed',
    error => (error as {code?: string}).code,
  )

test("T18: another's instance is absent for every way to its files, ports and shells", async () => {
  const fleet = await wholeFleet()
  const {name, instanceId: id} = await fleet.running()
  const {client: eve} = await person(fleet, 'eve')
  const path = '/etc/passwd'

  for (const reference of [id, name]) {
    const tries = {
      stat: eve.call('instances.statPath', {id: reference, path}),
      archive: eve.archive({id: reference, path}),
      unpack: eve.terminal('instances.unpack', {id: reference, path: '/tmp'}),
      forward: eve.terminal('instances.forward', {id: reference, port: 80}),
      terminal: eve.terminal('instances.terminal', {id: reference}),
    }
    for (const [way, work] of Object.entries(tries)) expect([way, await codeOf(work)]).toEqual([way, 'not_found'])
  }
  await expect(fleet.client.call('instances.statPath', {id, path})).resolves.toMatchObject({kind: 'file'})
})

test('T22: a disabled account loses its forwarded connection and its half-done upload within a second', async () => {
  const fleet = await wholeFleet()
  const {client: ada, id: adaId} = await person(fleet, 'ada')
  const claim = await ada.call('claims.submit', {
    name: 'echo',
    image: (await fleet.running()).spec.image,
    command: ['sh', '-c', 'exec nc -ll -p 9000 -e cat'],
  })
  await fleet.untilClaim(claim.id, ({status}) => status.phase === 'Running')
  const id = claim.instanceId
  const forward = await eventually(() => ada.terminal('instances.forward', {id, port: 9000}))
  const upload = await ada.terminal('instances.unpack', {id, path: '/tmp'})
  await forward.send(encodeFrame(frameKind.stdin, Buffer.from('hello')))
  const {value} = await forward.frames[Symbol.asyncIterator]().next()
  expect(Buffer.from(value.payload).toString()).toBe('hello')

  const ends = [forward, upload].map(async ({frames}) => {
    for await (const _ of frames);
  })
  const since = performance.now()
  await fleet.client.call('users.update', {id: adaId, enabled: false})
  const results = await Promise.allSettled(ends)

  expect(performance.now() - since).toBeLessThan(1_500)
  expect(results.map(({status}) => status)).toEqual(['rejected', 'rejected'])
})

test('what is no frame, and a path or port that is none, is refused before anything is opened', async () => {
  const fleet = await wholeFleet()
  const {instanceId: id} = await fleet.running()
  const {client} = fleet

  expect(await codeOf(client.terminal('instances.forward', {id, port: 70_000}))).toBe('input_invalid')
  expect(await codeOf(client.call('instances.statPath', {id, path: 'a\0b'}))).toBe('input_invalid')
  expect(await codeOf(client.terminal('instances.unpack', {id, path: '/no/folder'}))).toBe('path_missing')
  const path = `/gpuctl/v1/instances/${id}/archive?path=/nowhere`
  const answer = await client.open({method: 'GET', path}).catch(error => error as {code: string})
  expect(answer).toMatchObject({code: 'path_missing'})
  const whole = await client.open({method: 'GET', path: path.replace('nowhere', 'etc/passwd')})
  expect(await readText(await client.target(), whole)).toContain('root:')
})
