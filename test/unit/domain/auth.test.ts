import {describe, expect, test} from 'vitest'
import {peer, world} from '../../support/world.ts'

async function withEve() {
  const made = await world()
  await made.services.users.create({username: 'eve', password: 'correct horse', gpuQuota: 2}, made.admin)
  const login = (password = 'correct horse', address = peer.address) =>
    made.services.auth.login({username: 'eve', password}, {...peer, address})
  return {...made, services: made.services, login}
}

describe('logging in', () => {
  test('T7: a login token works until it is revoked, its user is changed, or it ends', async () => {
    const {services, login, admin, clock} = await withEve()
    const first = await login()
    const identity = await services.auth.authenticate(first.token, peer)
    expect(identity).toMatchObject({username: 'eve', role: 'user', credential: 'login'})

    await services.auth.logout({}, {...identity, ...peer})
    await expect(services.auth.authenticate(first.token, peer)).rejects.toMatchObject({code: 'token_invalid'})

    const second = await login()
    await services.users.update({id: 'eve', role: 'viewer'}, admin)
    await expect(services.auth.authenticate(second.token, peer)).rejects.toMatchObject({code: 'token_invalid'})

    const third = await login()
    clock.advance(12 * 3_600_000 + 31_000)
    await expect(services.auth.authenticate(third.token, peer)).rejects.toMatchObject({code: 'token_expired'})
  })

  test('T7: a revoked token stays revoked over a restart', async () => {
    const made = await withEve()
    const {token} = await made.login()
    const identity = await made.services.auth.authenticate(token, peer)
    await made.services.auth.logout({}, {...identity, ...peer})

    expect(await made.store.settings.get('auth.revoked')).toContain(identity.credentialId)
  })

  test('T9: after five misses the account waits, longer each time, and a right password then resets it', async () => {
    const {login, clock} = await withEve()
    for (let miss = 0; miss < 5; miss++)
      await expect(login('wrong', `10.0.0.${miss}`)).rejects.toMatchObject({code: 'login_failed'})

    await expect(login()).rejects.toMatchObject({code: 'too_many', details: {seconds: 1}})
    clock.advance(1_000)
    await expect(login('wrong')).rejects.toMatchObject({code: 'login_failed'})
    await expect(login()).rejects.toMatchObject({details: {seconds: 2}})
    clock.advance(2_000)
    expect((await login()).user.username).toBe('eve')
  })

  test('T10: an unknown user and a wrong password get the same answer', async () => {
    const {services, login} = await withEve()
    const wrong = await login('wrong').catch(error => error)
    const unknown = await services.auth.login({username: 'nobody', password: 'wrong'}, peer).catch(error => error)

    expect([unknown.code, unknown.message, unknown.details]).toEqual([wrong.code, wrong.message, wrong.details])
  })

  test.each(['short', 'admin123', '123456789', 'evelynnn'])('T12: the password %s is refused', async password => {
    const {services, admin} = await world()
    await expect(services.users.create({username: 'evelynnn', password}, admin)).rejects.toMatchObject({
      code: 'password_weak',
    })
  })

  test('T12: the documents’ password123 may register', async () => {
    const {services, admin} = await world()
    expect(await services.users.create({username: 'zoe', password: 'password123'}, admin)).toMatchObject({gpuQuota: 0})
  })

  test('T7, T31: a link of `open` signs its person in once, within a minute, and no longer than the login behind it', async () => {
    const {services, store, login, clock} = await withEve()
    const caller = {...(await services.auth.authenticate((await login()).token, peer)), ...peer}
    const link = async () => (await services.auth.browserLink({}, caller)).secret
    const redeem = (secret: string) => services.auth.redeemLink({secret}, peer)
    clock.advance(11 * 3_600_000)

    const made = await redeem(await link())
    expect(await services.auth.authenticate(made.token, peer)).toMatchObject({username: 'eve', credential: 'login'})
    expect(made.expiresAt).toBe(caller.expiresAt)
    const late = await link()
    clock.advance(60_000)
    await expect(redeem(late)).rejects.toMatchObject({code: 'link_invalid'})
    await expect(redeem('gpl_made-up')).rejects.toMatchObject({code: 'link_invalid'})

    const stolen = await link()
    const first = await redeem(stolen)
    await expect(redeem(stolen)).rejects.toMatchObject({code: 'link_invalid'})
    await expect(services.auth.authenticate(first.token, peer)).rejects.toMatchObject({code: 'token_invalid'})
    const actions = (await store.audit.list(20)).map(({action}) => action)
    expect(actions).toContain('security.link_shown_twice')
    expect(actions.filter(action => action === 'auth.redeemLink')).toHaveLength(2)

    const left = await link()
    await services.auth.logout({}, caller)
    await expect(redeem(left)).rejects.toMatchObject({code: 'token_invalid'})
  })

  test('a link that many show at once leaves nobody signed in; links and wrong links are bounded', async () => {
    const {services, login, clock} = await withEve()
    const caller = {...(await services.auth.authenticate((await login()).token, peer)), ...peer}
    const {secret} = await services.auth.browserLink({}, caller)

    const shown = await Promise.allSettled(Array.from({length: 50}, () => services.auth.redeemLink({secret}, peer)))
    const tokens = shown.flatMap(one => (one.status === 'fulfilled' ? [one.value.token] : []))
    expect(tokens.length).toBeLessThanOrEqual(1)
    for (const token of tokens)
      await expect(services.auth.authenticate(token, peer)).rejects.toMatchObject({code: 'token_invalid'})

    const link = () => services.auth.browserLink({}, caller)
    for (let count = 1; count < 20; count++) await link()
    await expect(link()).rejects.toMatchObject({code: 'too_many'})
    await expect(services.auth.redeemLink({secret}, peer)).rejects.toMatchObject({code: 'too_many'})
    clock.advance(600_000)
    expect((await link()).secret).toMatch(/^gpl_.{43}$/)
  })

  test('an API token opens until it is revoked; one that may only read makes none that may write', async () => {
    const {services, caller} = await world()
    const {secret, id} = await services.tokens.create({name: 'ci', scopes: ['read']}, caller)
    const identity = await services.auth.authenticate(secret, peer)
    expect(identity).toMatchObject({username: 'alice', scopes: ['read'], credential: 'token', credentialId: id})

    await expect(services.tokens.create({name: 'more'}, {...identity, ...peer})).rejects.toMatchObject({
      code: 'scope_missing',
    })
    await services.tokens.revoke({id: 'ci'}, caller)
    await expect(services.auth.authenticate(secret, peer)).rejects.toMatchObject({code: 'token_invalid'})
  })

  test('an API token is read again after each change of the store, and after a second: something beside the server may have changed it', async () => {
    const {services, store, clock, admin, login} = await withEve()
    const caller = {...(await services.auth.authenticate((await login()).token, peer)), ...peer}
    const {secret, id} = await services.tokens.create({name: 'ci'}, caller)
    const opens = () => services.auth.authenticate(secret, peer)
    await opens()

    await store.transaction(tx => tx.tokens.delete(id))
    expect(await opens()).toMatchObject({username: 'eve', role: 'user'})
    clock.advance(1_000)
    await expect(opens()).rejects.toMatchObject({code: 'token_invalid'})

    const other = await services.tokens.create({name: 'other'}, caller)
    const reopens = () => services.auth.authenticate(other.secret, peer)
    await reopens()
    await services.users.update({id: 'eve', role: 'viewer'}, admin)
    expect(await reopens()).toMatchObject({role: 'viewer'})
    await services.users.update({id: 'eve', enabled: false}, admin)
    await expect(reopens()).rejects.toMatchObject({code: 'token_invalid'})
  })

  test('T33: a key for models is 32 letters and digits, carries its bounds, and opens nothing but models', async () => {
    const {services, store, caller} = await world()
    const input = {name: 'bot', scopes: ['inference' as const], requestsPerMinute: 60, concurrency: 2}
    const {secret, id} = await services.tokens.create(input, caller)

    expect(secret).toMatch(/^sk_[A-Za-z0-9]{32}$/)
    expect(JSON.stringify(await store.tokens.find(id))).not.toContain(secret)
    const identity = await services.auth.authenticate(secret, peer)
    expect(identity).toMatchObject({scopes: ['inference'], limits: {requestsPerMinute: 60, concurrency: 2}})
    await expect(services.tokens.create({name: 'x', scopes: ['read']}, {...identity, ...peer})).rejects.toMatchObject({
      code: 'scope_missing',
      details: {needed: 'read'},
    })
  })

  test('T8: a stream ticket is good for one use, one path and a minute', async () => {
    const {services, caller, clock} = await world()
    const ticket = async () => (await services.auth.streamTicket({path: '/a'}, caller)).ticket
    const used = await ticket()
    expect(await services.auth.redeemTicket(used, '/a')).toMatchObject({username: 'alice'})

    await expect(services.auth.redeemTicket(used, '/a')).rejects.toMatchObject({code: 'token_invalid'})
    await expect(services.auth.redeemTicket(await ticket(), '/b')).rejects.toMatchObject({code: 'token_invalid'})
    const late = await ticket()
    clock.advance(60_000)
    await expect(services.auth.redeemTicket(late, '/a')).rejects.toMatchObject({code: 'token_invalid'})
  })

  test('the last super administrator stays, whatever two of them do to one another', async () => {
    const {services, admin, makeUser} = await world()
    const other = await makeUser('second', {role: 'super_admin', gpuQuota: null})

    const settled = await Promise.allSettled([
      services.users.update({id: admin.id, role: 'user'}, other),
      services.users.delete({id: other.id}, admin),
    ])

    expect(settled.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(settled.find(one => one.status === 'rejected')).toMatchObject({reason: {code: 'last_admin'}})
  })

  test('a user who holds live claims cannot be deleted', async () => {
    const {services, admin, caller} = await world()
    await services.claims.submit({image: 'cuda', name: 'busy'}, caller)
    await expect(services.users.delete({id: 'alice'}, admin)).rejects.toThrow(/still holds 1 live claims/)
    await services.claims.cancel({id: 'busy'}, caller)
    expect(await services.users.delete({id: 'alice'}, admin)).toEqual({done: true})
  })
})
