import {describe, expect, test} from 'vitest'
import {hasRole} from '../../../src/domain/caller.ts'
import {need} from '../../support/skips.ts'
import {gpuNode, peer, world} from '../../support/world.ts'

const password = 'correct horse battery'
const from = (address: string) => ({...peer, address})

async function settings(rule: 'open' | 'invite' | 'closed', store: 'sqlite' | 'postgres' = 'sqlite') {
  const made = await world({store})
  await made.services.settings.set({name: 'auth.registration', value: rule}, made.admin)
  return made
}

describe('registering', () => {
  test('T13: who registers is a user with a quota of no GPU and no priority, and sees nothing of others', async () => {
    const {services, store, caller} = await world({nodes: [gpuNode('one', 2)]})
    await services.claims.submit({image: 'cuda', gpus: {count: 1}}, caller)

    const made = await services.auth.register({username: 'newcomer', password}, peer)

    expect(made).toMatchObject({role: 'user', gpuQuota: 0, maxPriority: 0, enabled: true})
    expect(await store.users.find(made.id)).not.toHaveProperty('password')
    const {token} = await services.auth.login({username: 'newcomer', password}, peer)
    const newcomer = {...(await services.auth.authenticate(token, peer)), ...peer}
    expect(hasRole(newcomer, 'node_admin')).toBe(false)
    expect(await services.claims.list({all: true}, newcomer)).toEqual([])
    expect(await services.instances.list({all: true}, newcomer)).toEqual([])
    expect(await services.quotas.list({}, newcomer)).toMatchObject([{user: 'newcomer', gpus: 0, gpusHeld: 0}])
    await expect(services.quotas.get({user: 'alice'}, newcomer)).rejects.toMatchObject({code: 'not_found'})
    await expect(services.claims.submit({image: 'cuda', gpus: {count: 1}}, newcomer)).rejects.toMatchObject({
      code: 'claim_over_quota',
      details: {asked: 1, quota: 0, left: 0},
    })
    await expect(services.claims.submit({image: 'cuda', priority: 1}, newcomer)).rejects.toMatchObject({
      code: 'priority_too_high',
    })
  })

  test('T13: closed takes nobody, not even with an invitation', async () => {
    const {services, admin} = await settings('closed')
    const {secret: invitation} = await services.users.invite({}, admin)
    const asked = services.auth.register({username: 'newcomer', password, invitation}, peer)
    await expect(asked).rejects.toMatchObject({code: 'registration_closed'})
  })

  test.for(['sqlite', 'postgres'] as const)(
    'T13: an invitation admits as many as it says, however many come at once (%s)',
    async (store, context) => {
      if (store === 'postgres') need(context, 'postgres')
      const {services, admin} = await settings('invite', store)
      const {secret: invitation} = await services.users.invite({uses: 3}, admin)

      const tries = await Promise.allSettled(
        Array.from({length: 8}, (_, index) =>
          services.auth.register({username: `guest-${index}`, password, invitation}, from(`192.0.2.${index}`)),
        ),
      )

      expect(tries.filter(({status}) => status === 'fulfilled')).toHaveLength(3)
      for (const one of tries) if (one.status === 'rejected') expect(one.reason.code).toBe('invitation_needed')
      expect((await services.users.list({}, admin)).filter(({username}) => username.startsWith('guest-'))).toHaveLength(
        3,
      )
    },
  )

  test('T13: without one, with a wrong, expired or revoked one, or with a join token nobody comes in', async () => {
    const {services, admin, clock} = await settings('invite')
    const {secret: expired} = await services.users.invite({ttlSeconds: 60}, admin)
    const {secret: revoked, id} = await services.users.invite({}, admin)
    const {secret: joinToken} = await services.joinTokens.create({}, admin)
    await services.joinTokens.revoke({id}, admin)
    clock.advance(61_000)

    for (const invitation of [undefined, 'gpi_wrong', expired, revoked, joinToken]) {
      const asked = services.auth.register({username: 'newcomer', password, invitation}, peer)
      await expect(asked).rejects.toMatchObject({code: 'invitation_needed'})
    }
    expect((await services.joinTokens.list({}, admin)).find(({admits}) => admits === 'nodes')).toMatchObject({
      usesLeft: 1,
    })
  })

  test('an invitation admits no machine', async () => {
    const {services, admin} = await settings('invite')
    const {secret: joinToken} = await services.users.invite({}, admin)
    const joining = services.nodes.join({hostname: 'gpu-1', joinToken}, peer)
    await expect(joining).rejects.toMatchObject({code: 'token_invalid'})
  })

  test('a name that is taken costs no use of the invitation', async () => {
    const {services, admin} = await settings('invite')
    const {secret: invitation} = await services.users.invite({}, admin)
    const register = (username: string) => services.auth.register({username, password, invitation}, peer)
    await expect(register('Alice')).rejects.toMatchObject({code: 'name_taken'})
    expect(await register('newcomer')).toMatchObject({username: 'newcomer'})
  })

  test('T10: ten tries an hour for an address, so that nobody reads the list of users out of it', async () => {
    const {services, clock} = await world()
    const ask = (username: string, address = peer.address) =>
      services.auth.register({username, password}, from(address)).catch(error => error)

    const answers = []
    for (let count = 0; count < 12; count++) answers.push((await ask('alice')).code)

    expect(answers).toEqual([...new Array(10).fill('name_taken'), 'too_many', 'too_many'])
    expect(await ask('alice')).toMatchObject({details: {seconds: 3600}})
    expect(await ask('other', '192.0.2.99')).toMatchObject({username: 'other'})
    clock.advance(3_600_000)
    expect(await ask('later')).toMatchObject({username: 'later'})
  })

  test('T10: where an invitation is needed the answer is the same for names that exist', async () => {
    const {services} = await settings('invite')
    const ask = (username: string) => services.auth.register({username, password}, peer).catch(error => error)
    const [known, unknown] = [await ask('alice'), await ask('nobody')]
    expect({code: known.code, message: known.message}).toEqual({code: unknown.code, message: unknown.message})
  })

  test('T13: a server that others reach wants invitations unless somebody said otherwise; unknown values are refused', async () => {
    const {services, admin, store} = await world()
    const registration = async () =>
      (await services.settings.list({}, admin)).find(one => one.name === 'auth.registration')
    expect(await registration()).toMatchObject({value: 'open', isSet: false, values: ['open', 'invite', 'closed']})
    const wrong = services.settings.set({name: 'auth.registration', value: 'maybe'}, admin)
    await expect(wrong).rejects.toMatchObject({code: 'input_invalid', details: {field: 'value'}})
    await expect(services.settings.set({name: 'server_id', value: 'x'}, admin)).rejects.toMatchObject({
      code: 'not_found',
    })
    await store.settings.set('server:auth.registration', 'of another version')
    expect(await registration()).toMatchObject({value: 'open', isSet: false})
  })
})

describe('the own password', () => {
  test('T7: a new one ends every other login at once, and the change goes on with a fresh one', async () => {
    const {services} = await world()
    await services.auth.register({username: 'ada', password}, peer)
    const login = async (word: string) => (await services.auth.login({username: 'ada', password: word}, peer)).token
    const [here, there] = [await login(password), await login(password)]
    const caller = {...(await services.auth.authenticate(here, peer)), ...peer}

    const {token} = await services.auth.changePassword({current: password, password: 'another long one'}, caller)

    for (const old of [here, there]) {
      await expect(services.auth.authenticate(old, peer)).rejects.toMatchObject({code: 'token_invalid'})
    }
    expect(await services.auth.authenticate(token, peer)).toMatchObject({username: 'ada'})
    await expect(login(password)).rejects.toMatchObject({code: 'login_failed'})
    expect(await login('another long one')).toBeTypeOf('string')
  })

  test('T9: the current one must be right, and is no way round the pause of the login', async () => {
    const {services} = await world()
    await services.auth.register({username: 'ada', password}, peer)
    const {token} = await services.auth.login({username: 'ada', password}, peer)
    const caller = {...(await services.auth.authenticate(token, peer)), ...peer}
    const change = (current: string, next = 'another long one') =>
      services.auth.changePassword({current, password: next}, caller)

    await expect(change(password, 'password')).rejects.toMatchObject({code: 'password_weak'})
    for (let miss = 0; miss < 5; miss++) {
      await expect(change('wrong')).rejects.toMatchObject({code: 'input_invalid', details: {field: 'current'}})
    }
    await expect(change(password)).rejects.toMatchObject({code: 'too_many'})
    expect(await services.auth.authenticate(token, peer)).toMatchObject({username: 'ada'})
  })
})

describe('quotas', () => {
  test('a quota counts every live claim; lowered below that it is over, and takes nothing away', async () => {
    const {services, admin, caller, settle} = await world({nodes: [gpuNode('one', 4)]})
    await services.quotas.set({user: 'alice', gpus: 4, maxPriority: 5}, admin)
    const claim = await services.claims.submit({image: 'cuda', gpus: {count: 3}, priority: 5}, caller)
    await settle()

    expect(await services.quotas.get({}, caller)).toMatchObject({user: 'alice', gpus: 4, gpusHeld: 3, gpusLeft: 1})
    const lowered = await services.quotas.set({user: 'alice', gpus: 2}, admin)
    expect(lowered).toMatchObject({gpus: 2, maxPriority: 5, gpusHeld: 3, gpusLeft: 0})
    expect(await services.quotas.status({user: 'alice'}, admin)).toMatchObject({
      isOver: true,
      claims: [{id: claim.id, phase: 'Running', gpus: 3, priority: 5}],
    })
    expect(await services.claims.get({id: claim.id}, caller)).toMatchObject({status: {phase: 'Running'}})
  })

  test('only a super_admin is unlimited (rule 6)', async () => {
    const {services, admin} = await world()
    const unlimited = services.quotas.set({user: 'alice', gpus: null}, admin)
    await expect(unlimited).rejects.toMatchObject({code: 'input_invalid', details: {field: 'gpus'}})
    expect(await services.quotas.set({user: 'root', gpus: null}, admin)).toMatchObject({gpus: null, gpusLeft: null})
    await expect(services.quotas.set({user: 'alice'}, admin)).rejects.toMatchObject({code: 'input_invalid'})
    await expect(services.quotas.set({user: 'nobody', gpus: 1}, admin)).rejects.toMatchObject({code: 'not_found'})
  })
})
