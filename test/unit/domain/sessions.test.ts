import {expect, test} from 'vitest'
import type {Caller} from '../../../src/domain/caller.ts'
import {eventually} from '../../support/wait.ts'
import {world} from '../../support/world.ts'

type World = Awaited<ReturnType<typeof world>>

/** A door that somebody opened, and how it was ended. */
async function open({services}: World, caller: Caller, kind: 'ssh' | 'exec' = 'ssh') {
  const ends: string[] = []
  const session = await services.sessions.open({
    kind,
    caller,
    bytes: () => ({in: 3, out: 5}),
    end: why => {
      ends.push(why)
      session.close()
    },
  })
  return {session, ends}
}

test('open sessions are listed to their user and to administrators, and their ends stand in the audit', async () => {
  const somewhere = await world()
  const {services, caller, admin, clock, store} = somewhere
  const {session} = await open(somewhere, caller)
  session.enter({id: 'i-1', name: 'train'})

  const [listed] = await services.sessions.list({}, caller)
  expect(listed).toMatchObject({number: 1, kind: 'ssh', user: 'alice', instance: 'train', bytesIn: 3, bytesOut: 5})
  expect(await services.sessions.list({}, admin)).toEqual([])
  expect(await services.sessions.list({all: true}, admin)).toEqual([listed])
  clock.advance(1500)
  session.close()
  session.close()
  await services.sessions.settled()

  expect(await services.sessions.list({}, caller)).toEqual([])
  const audit = (await store.audit.list(10)).filter(({object}) => object === session.id)
  expect(audit).toMatchObject([
    {
      action: 'sessions.end',
      actor: 'alice',
      details: {instance: 'train', why: 'closed', bytesOut: 5, durationMs: 1500},
    },
    {action: 'sessions.start', actor: 'alice', details: {kind: 'ssh'}},
  ])
})

test('T18: a session is killed by its user or an administrator; to others it is absent', async () => {
  const somewhere = await world()
  const {services, caller, admin, makeUser} = somewhere
  const bob = await makeUser('bob', {})
  const first = await open(somewhere, caller)
  const second = await open(somewhere, caller)

  await expect(services.sessions.kill({id: first.session.id}, bob)).rejects.toMatchObject({code: 'not_found'})
  await services.sessions.kill({id: '1'}, caller)
  await services.sessions.kill({id: second.session.id.slice(0, 8)}, admin)

  expect([first.ends, second.ends]).toEqual([['killed'], ['killed']])
})

test('T26: a disabled account ends all doors, a new password those of SSH', async () => {
  const somewhere = await world()
  const {services, admin, makeUser} = somewhere
  const bob = await makeUser('bob', {})
  const ssh = await open(somewhere, bob)
  const exec = await open(somewhere, bob, 'exec')

  await services.users.update({id: bob.id, maxPriority: 3}, admin)
  await services.users.update({id: bob.id, password: 'another-Long-one-1'}, admin)
  await eventually(() => ssh.ends.length > 0)
  expect(exec.ends).toEqual([])
  await services.users.update({id: bob.id, enabled: false}, admin)
  await eventually(() => exec.ends.length > 0)

  expect([ssh.ends, exec.ends]).toEqual([['revoked'], ['revoked']])
  await expect(open(somewhere, bob)).rejects.toMatchObject({code: 'token_invalid'})
})

test('a user has 500 sessions at most', async () => {
  const somewhere = await world()
  const opened = await Promise.all(Array.from({length: 500}, () => open(somewhere, somewhere.caller)))

  await expect(open(somewhere, somewhere.caller)).rejects.toMatchObject({code: 'too_many'})
  opened[0]?.session.close()
  await open(somewhere, somewhere.caller)
})
