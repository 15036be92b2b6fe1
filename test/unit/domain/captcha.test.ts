import {describe, expect, test} from 'vitest'
import {peer, world} from '../../support/world.ts'

const nothing = {id: '', digits: ''}

async function withEve() {
  const made = await world()
  const {services, clock} = made
  const password = 'correct horse'
  for (const username of ['eve', 'ann']) await services.users.create({username, password}, made.admin)
  const login = (given: string, captcha = nothing, address = peer.address, username = 'eve') =>
    services.auth.login({username, password: given}, {...peer, address}, {captcha})
  /** The picture of the tests is a text, so that a test can read it. */
  const draw = async (address = peer.address) => {
    const {id, picture, isNeeded} = await services.auth.captcha({...peer, address})
    return {id, digits: picture.replace('data:,', ''), isNeeded}
  }
  const threeMisses = async (address = peer.address, username = 'eve') => {
    for (let miss = 0; miss < 3; miss++)
      await expect(login('wrong', nothing, address, username)).rejects.toMatchObject({code: 'login_failed'})
  }
  return {services, clock, login, draw, threeMisses, password}
}

describe('W3.2-1 T11: the captcha', () => {
  test('is asked for after three misses of an address, and then only from there', async () => {
    const {login, draw, threeMisses, password} = await withEve()
    expect(await draw()).toMatchObject({digits: expect.stringMatching(/^\d{6}$/), isNeeded: false})
    await threeMisses()

    await expect(login(password, nothing, peer.address, 'ann')).rejects.toMatchObject({code: 'captcha_wrong'})
    expect(await draw()).toMatchObject({isNeeded: true})
    expect(await draw('198.51.100.9')).toMatchObject({isNeeded: false})
    expect(await login(password, nothing, '198.51.100.9', 'ann')).toMatchObject({token: expect.any(String)})
  })

  test('is asked for after three misses of an account, wherever they came from; a right password ends that', async () => {
    const {login, draw, password} = await withEve()
    for (const last of [1, 2, 3])
      await expect(login('wrong', nothing, `198.51.100.${last}`)).rejects.toMatchObject({code: 'login_failed'})

    await expect(login(password, nothing, '198.51.100.9')).rejects.toMatchObject({code: 'captcha_wrong'})
    expect(await login(password, await draw('198.51.100.9'), '198.51.100.9')).toBeTruthy()
    expect(await login(password, nothing, '198.51.100.9')).toBeTruthy()
  })

  test('is good for one try, whether that was right or wrong', async () => {
    const {login, draw, threeMisses, password, clock} = await withEve()
    await threeMisses()
    const first = await draw()
    await expect(login('wrong', first)).rejects.toMatchObject({code: 'login_failed'})
    await expect(login(password, first)).rejects.toMatchObject({code: 'captcha_wrong'})
    clock.advance(60_000)

    const second = await draw()
    expect(await login(password, second)).toBeTruthy()
    await expect(login(password, second, peer.address, 'ann')).rejects.toMatchObject({code: 'captcha_wrong'})
  })

  test('is good for two minutes, for its address, and for its own digits', async () => {
    const {login, draw, threeMisses, password, clock} = await withEve()
    await threeMisses()
    const late = await draw()
    clock.advance(2 * 60_000)
    await expect(login(password, late)).rejects.toMatchObject({code: 'captcha_wrong'})

    clock.advance(60_000)
    await expect(login(password, await draw('198.51.100.9'))).rejects.toMatchObject({code: 'captcha_wrong'})

    clock.advance(60_000)
    const {id, digits} = await draw()
    const others = digits.replace(/./g, digit => String((Number(digit) + 1) % 10))
    await expect(login(password, {id, digits: others})).rejects.toMatchObject({code: 'captcha_wrong'})
  })

  test('is forgotten an hour after the last miss', async () => {
    const {login, threeMisses, password, clock} = await withEve()
    await threeMisses()
    clock.advance(3_600_000)

    expect(await login(password)).toBeTruthy()
  })

  test('never stands before a login that cannot show a picture, nor before an API token', async () => {
    const {services, threeMisses, password} = await withEve()
    await threeMisses()

    const {token} = await services.auth.login({username: 'eve', password}, peer)
    const identity = await services.auth.authenticate(token, peer)
    const {secret} = await services.tokens.create({name: 'ci'}, {...identity, ...peer})
    expect(await services.auth.authenticate(secret, peer)).toMatchObject({username: 'eve', credential: 'token'})
  })

  test('is drawn 60 times a minute for an address; eight are open for it at once', async () => {
    const {draw, login, threeMisses, password, clock} = await withEve()
    await threeMisses()
    const [oldest, ...others] = await Promise.all(Array.from({length: 9}, () => draw()))
    await expect(login(password, oldest)).rejects.toMatchObject({code: 'captcha_wrong'})
    expect(await login(password, others[0])).toBeTruthy()

    for (let count = 9; count < 60; count++) await draw()
    await expect(draw()).rejects.toMatchObject({code: 'too_many', details: {seconds: 60}})
    expect(await draw('198.51.100.9')).toBeTruthy()
    clock.advance(60_000)
    expect(await draw()).toBeTruthy()
  })
})

describe('a disabled account', () => {
  test('T10: is told to who knows its password, and to nobody else', async () => {
    const {services, login, password} = await withEve()
    const admin = {...peer, id: 'x', username: 'root', role: 'super_admin', scopes: ['write']} as const
    await services.users.update(
      {id: 'eve', enabled: false},
      {
        ...{...admin, credential: 'login', credentialId: 'x', expiresAt: null},
      },
    )

    await expect(login('wrong')).rejects.toMatchObject({code: 'login_failed'})
    await expect(login(password)).rejects.toMatchObject({code: 'account_disabled'})
  })
})

describe('the next token', () => {
  test('W3.2-2: comes in the last day of a login of seven days, and for no other', async () => {
    const {services, clock, password} = await withEve()
    const rule = {ttlSeconds: 7 * 86_400, leftSeconds: 86_400}
    const callerOf = async (token: string) => ({...(await services.auth.authenticate(token, peer)), ...peer})
    const week = await services.auth.login({username: 'eve', password}, peer, {ttlSeconds: rule.ttlSeconds})
    const short = await services.auth.login({username: 'eve', password}, peer)
    expect(await services.auth.renew(await callerOf(week.token), rule)).toBeUndefined()
    expect(await services.auth.renew(await callerOf(short.token), rule)).toBeUndefined()

    clock.advance(6 * 86_400_000)
    const next = await services.auth.renew(await callerOf(week.token), rule)
    expect(Date.parse(next?.expiresAt ?? '') - clock.now()).toBe(7 * 86_400_000)
    expect(await services.auth.authenticate(next?.token ?? '', peer)).toMatchObject({username: 'eve'})
  })
})
