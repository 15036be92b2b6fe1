import {execFileSync} from 'node:child_process'
import {mkdir, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {maskText, maskValue} from '../../src/cli/support/mask.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

test('a support bundle has what a report needs, for its owner alone, and no secret that was planted anywhere', async () => {
  const plane = await controlPlane()
  const secrets = [
    'hunter2-in-the-log',
    'hunter2-in-a-variable',
    'hunter2-in-the-config',
    'hunter2-of-postgres',
    'eyJhbGciOiJIUzI1NiJ9',
  ]
  const admin = await operator({
    GPUCTL_SERVER: plane.url,
    GPUCTL_TOKEN: plane.adminToken,
    GPUCTL_DATABASE_URL: `postgres://gpuctl:${secrets[3]}@db/gpuctl`,
  })
  await plane.ok(
    'claims.submit',
    {name: 'train', image: 'cuda', env: {HF_TOKEN: secrets[1]}},
    {token: plane.adminToken},
  )
  await mkdir(join(admin.home, 'config'), {recursive: true, mode: 0o700})
  await writeFile(join(admin.home, 'config', 'config.yml'), `defaults:\n  password: ${secrets[2]}\n`, {mode: 0o600})
  await mkdir(join(admin.home, 'data', 'server'), {recursive: true, mode: 0o700})
  const log = [
    `{"level":"info","url":"/x?token=${secrets[0]}","msg":"asked"}`,
    `{"headers":{"authorization":"Bearer ${plane.adminToken}","cookie":"session=${secrets[0]}"}}`,
    `{"msg":"login with --password ${secrets[0]} and ${secrets[4]}.eyJzdWIiOiIxMjM0NTY3.c2lnbmF0dXJl"}`,
    '-----BEGIN PRIVATE KEY-----\nhunter2-in-the-log\n-----END PRIVATE KEY-----',
    '{"msg":"the server listens"}',
  ]
  await writeFile(join(admin.home, 'data', 'server', 'server.log'), `${log.join('\n')}\n`)

  const file = join(admin.home, 'report.tar.gz')
  const made = await admin.ok(['support', 'bundle', '--file', file])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const listed = execFileSync('tar', ['-tzf', file], {encoding: 'utf8'}).trim().split('\n')
  expect(listed).toEqual([
    ...['versions.json', 'doctor.json', 'config.yml', 'environment.json', 'server-version.json', 'status.json'],
    ...['nodes.json', 'claims.json', 'instances.json', 'tasks.json', 'events.json', 'server.log'],
  ])
  for (const name of listed) expect(made.stdout).toContain(name)

  const everything = execFileSync('tar', ['-xzOf', file], {encoding: 'utf8'})
  for (const secret of [...secrets, plane.adminToken, 'hunter2']) expect(everything).not.toContain(secret)
  for (const wanted of ['the server listens', '"name": "train"', 'HF_TOKEN', '"check": "clock"', 'Submitted']) {
    expect(everything).toContain(wanted)
  }
  expect(await admin.run(['support', 'bundle', '--file', file])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('is there already')},
  })
}, 60_000)

test('secrets are masked by their names and by their looks; what is none stays', () => {
  expect(maskText('GET https://ada:pw@host/v1?api_key=abc&x=1 Authorization: Basic YWRhOnB3')).toBe(
    'GET https://****@host/v1?api_key=****&x=1 Authorization: ****',
  )
  expect(maskText('{"password":"a\\"b","name":"x"} and sk-abcdefgh1234')).toBe(
    '{"password":"****","name":"x"} and ****',
  )
  expect(maskText('{"body":"{\\"token\\":\\"abc\\",\\"a\\":1}"}')).toBe('{"body":"{\\"token\\":\\"****\\",\\"a\\":1}"}')
  expect(maskText(`password: "a b"\nadminPassword: 'c d'\nsecret: e`)).toBe(
    `password: "****"\nadminPassword: '****'\nsecret: ****`,
  )
  expect(maskText('17 tokens/s on node gpu-03, keys list')).toBe('17 tokens/s on node gpu-03, keys list')
  expect(
    maskValue({name: 'ci', token: 'x', nested: [{clientKey: 'y', keys: 2}], env: {A: 'b'}, hasToken: true}),
  ).toEqual({
    ...{name: 'ci', token: '****', nested: [{clientKey: '****', keys: 2}], env: {A: '****'}, hasToken: true},
  })
  expect(maskText('the login is known-secret-1', ['known-secret-1'])).toBe('the login is ****')
})
