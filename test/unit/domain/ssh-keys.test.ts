import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {readPublicKey} from '../../../src/domain/ssh-key.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {world} from '../../support/world.ts'

/** A key pair as people make it; the text of its .pub file, and what ssh-keygen says of it. */
async function keyPair(type: string, bits?: number, comment = 'ada@laptop') {
  const path = join(await temporaryDirectory(), 'id')
  const size = bits === undefined ? [] : ['-b', String(bits)]
  execFileSync('ssh-keygen', ['-q', '-t', type, ...size, '-N', '', '-C', comment, '-f', path])
  const [said, fingerprint] = execFileSync('ssh-keygen', ['-lf', `${path}.pub`], {encoding: 'utf8'}).split(' ')
  return {path, line: readFileSync(`${path}.pub`, 'utf8'), bits: Number(said), fingerprint}
}

const blobOf = (...fields: (string | Buffer)[]) =>
  Buffer.concat(
    fields.flatMap(field => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(field.length)
      return [length, Buffer.from(field)]
    }),
  ).toString('base64')

describe('what is a public key', () => {
  test.each([
    ['ed25519', undefined],
    ['rsa', 2048],
    ['rsa', 3072],
    ['ecdsa', 256],
    ['ecdsa', 384],
    ['ecdsa', 521],
  ])('%s %s: size and fingerprint are those of ssh-keygen', async (type, size) => {
    const {line, bits, fingerprint} = await keyPair(type, size)

    expect(readPublicKey(line)).toMatchObject({bits, fingerprint, comment: 'ada@laptop'})
  })

  test('what the jump host could not check, or is none, is refused with the reason', async () => {
    const {line, path} = await keyPair('ed25519')
    const weak = await keyPair('rsa', 1024)

    const privateKey = readFileSync(path, 'utf8')
    expect(() => readPublicKey(privateKey)).toThrow('private key')
    expect(() => readPublicKey(weak.line)).toThrow('1024 bits')
    const sk = `sk-ssh-ed25519@openssh.com ${blobOf('sk-ssh-ed25519@openssh.com', Buffer.alloc(32), 'ssh:')}`
    expect(() => readPublicKey(sk)).toThrow('not supported')
    expect(() => readPublicKey(`ssh-dss ${blobOf('ssh-dss', 'x')}`)).toThrow('not supported')
    expect(() => readPublicKey(`ssh-rsa ${blobOf('ssh-ed25519', Buffer.alloc(32))}`)).toThrow('not readable')
    expect(() => readPublicKey(`ssh-ed25519 ${blobOf('ssh-ed25519', Buffer.alloc(31))}`)).toThrow('damaged')
    expect(() => readPublicKey(`ssh-ed25519 ${blobOf('ssh-ed25519', Buffer.alloc(32), 'more')}`)).toThrow('damaged')
    expect(() => readPublicKey(`ssh-rsa ${blobOf('ssh-rsa', '')}`)).toThrow('damaged')
    expect(() => readPublicKey(`command="sh" ${line}`)).toThrow('not readable')
    expect(() => readPublicKey(`${line}${line}`)).toThrow('more than one line')
    expect(() => readPublicKey('')).toThrow('not readable')
    expect(() => readPublicKey(line.slice(0, 40))).toThrow('not readable')
  })
})

describe.each(['sqlite', 'postgres'] as const)('keys of users on %s', store => {
  test('a key is added once, found by its owner alone, and deleted', async () => {
    const {services, caller, admin, makeUser} = await world({store})
    const bob = await makeUser('bob', {})
    const {line, fingerprint} = await keyPair('ed25519')
    const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')

    const key = await services.keys.create({key: line}, caller)
    expect(key).toMatchObject({name: 'ada-laptop', type: 'ssh-ed25519', bits: 256, fingerprint, owner: 'alice'})
    await expect(services.keys.create({key: line, name: 'again'}, caller)).rejects.toMatchObject({code: 'key_taken'})
    const second = (await keyPair('ed25519')).line
    await expect(services.keys.create({key: second}, caller)).rejects.toMatchObject({code: 'name_taken'})
    // What is Ada's may be Bob's, too; neither sees the other's, nor does an administrator.
    await services.keys.create({key: line}, bob)
    expect(await services.keys.list({}, bob)).toHaveLength(1)
    await expect(services.keys.delete({id: key.id}, admin)).rejects.toMatchObject({code: 'not_found'})

    expect(await services.auth.findKey('alice', blob)).toMatchObject({id: key.id})
    await services.keys.delete({id: 'ada-laptop'}, caller)
    expect(await services.auth.findKey('alice', blob)).toBeUndefined()
    expect(await services.auth.findKey('bob', blob)).toMatchObject({ownerId: bob.id})
    expect(await services.auth.findKey('nobody', blob)).toBeUndefined()
  })

  test('two adds of one key at once: one is made', async () => {
    const {services, caller} = await world({store})
    const {line} = await keyPair('ed25519')

    const tries = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map(name => services.keys.create({key: line, name}, caller)),
    )

    expect(tries.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    expect(await services.keys.list({}, caller)).toHaveLength(1)
  })

  test('a disabled user’s key opens nothing, and a deleted user’s keys are gone', async () => {
    const {services, admin, makeUser, store: tables} = await world({store})
    const bob = await makeUser('bob', {})
    const {line} = await keyPair('ed25519')
    const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')
    const {id} = await services.keys.create({key: line}, bob)

    await services.users.update({id: bob.id, enabled: false}, admin)
    expect(await services.auth.findKey('bob', blob)).toBeUndefined()
    await expect(services.auth.keyLogin('bob', blob, bob)).rejects.toMatchObject({code: 'login_failed'})
    await services.users.delete({id: bob.id}, admin)
    expect(await tables.sshKeys.find(id)).toBeUndefined()
  })
})
