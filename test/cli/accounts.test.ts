import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {nativeServer, Refusal} from './native-server.ts'

const password = 'correct horse battery'

async function administrator(plane: ControlPlane) {
  return operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken, GPUCTL_KEYRING: 'file'})
}

test('a person registers, logs in, is refused over the quota with 6, and is given one', async () => {
  const plane = await controlPlane()
  const admin = await administrator(plane)
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_KEYRING: 'file'})

  const made = await ada.run(['register', '-u', 'ada', '--password-stdin'], {input: `${password}\n`})
  expect(made).toMatchObject({code: 0, stdout: expect.stringContaining('ada has an account')})
  const again = await ada.run(['register', '-u', 'ada', '--password-stdin'], {input: `${password}\n`})
  expect(again).toMatchObject({code: 5, stderr: expect.stringContaining('There is already user ada.')})
  expect(await ada.run(['login', plane.url, '-u', 'ada', '--password-stdin'], {input: password})).toMatchObject({
    code: 0,
  })
  const submit = () => ada.run(['claim', 'submit', '--image', 'cuda', '--gpus', '1'])
  expect(await submit()).toMatchObject({code: 6, stderr: expect.stringContaining('your quota of 0 leaves 0')})
  expect(await ada.run(['quota', 'set', 'ada', '--gpus', '9'])).toMatchObject({code: 8})
  expect(await ada.run(['quota', 'status', 'admin'])).toMatchObject({code: 3})

  const given = await admin.run(['quota', 'set', 'ada', '--gpus', '1', '--max-priority', '3'])
  expect(given).toMatchObject({code: 0, stdout: 'ada may hold 1 GPUs, and holds 0; highest priority 3.\n'})
  expect(await submit()).toMatchObject({code: 0})
  expect(await ada.run(['quota', 'status'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^ada holds 1 of 1 GPUs\.\ncuda-\w+\tPending\t1\t0\n/),
  })
  for (const words of [['ada'], ['--user', 'ada'], ['ada', '--user', 'ada']]) {
    expect(await admin.json(['quota', 'get', ...words])).toMatchObject({user: 'ada', gpus: 1})
  }
  expect(await admin.json(['quota', 'status', '--user', 'ada'])).toMatchObject({user: 'ada', gpusHeld: 1})
  expect(await admin.run(['quota', 'get', 'ada', '--user', 'admin'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('--user says admin')},
  })
  expect((await admin.run(['quotas', 'ls'])).stdout).toMatch(/^admin\t\t0\t\t100\nada\t1\t1\t0\t3\n/)
  expect(await admin.run(['quota', 'set', 'ada', '--gpus', 'many'])).toMatchObject({code: 2})
  expect(await admin.run(['quota', 'set', 'ada'])).toMatchObject({code: 2})
}, 60_000)

test('where invitations are wanted, one comes out of `user invite`, in a file, and admits once', async () => {
  const plane = await controlPlane()
  const admin = await administrator(plane)
  const guest = await operator({GPUCTL_SERVER: plane.url})
  const register = (name: string, ...rest: string[]) =>
    guest.run(['register', '-u', name, '--password-stdin', ...rest], {input: password})

  expect(await admin.run(['server', 'config', 'set', 'auth.registration', 'invite'])).toMatchObject({
    ...{code: 0, stdout: 'auth.registration is invite.\n'},
  })
  expect((await admin.run(['server', 'config', 'get', 'auth.registration', '--json=value'])).stdout).toContain('invite')
  expect(await admin.run(['server', 'config', 'get', 'auth.nothing'])).toMatchObject({code: 3})
  expect(await register('ada')).toMatchObject({code: 8, stderr: expect.stringContaining('valid invitation')})
  const {stdout} = await admin.run(['user', 'invite'])
  const file = join(plane.directory, 'invitation')
  await writeFile(file, stdout)
  expect(await register('ada', '--invitation-file', file)).toMatchObject({code: 0})
  expect(await register('eve', '--invitation-file', file)).toMatchObject({code: 8})
}, 60_000)

test('`user password` changes the own one and stays logged in here; an administrator gives others a new one', async () => {
  const plane = await controlPlane()
  const admin = await administrator(plane)
  await plane.user('ada')
  const ada = await operator({GPUCTL_KEYRING: 'file'})
  const elsewhere = await plane.login('ada', 'Long-enough-ada')
  await ada.run(['login', plane.url, '-u', 'ada', '--password-stdin'], {input: 'Long-enough-ada'})

  const wrong = await ada.run(['user', 'password', '--password-stdin'], {input: `not this\n${password}\n`})
  expect(wrong).toMatchObject({code: 2, stderr: expect.stringContaining('current: is not your password')})
  const changed = await ada.run(['user', 'password', '--password-stdin'], {input: `Long-enough-ada\n${password}\n`})
  expect(changed).toMatchObject({code: 0, stdout: 'Your password is changed. All other logins are over.\n'})
  expect(await ada.run(['whoami'])).toMatchObject({code: 0})
  expect(await plane.ask('auth.whoami', {}, {token: elsewhere})).toMatchObject({status: 401})

  const given = await admin.run(['user', 'password', 'ada', '--password-stdin'], {input: 'yet another one'})
  expect(given).toMatchObject({code: 0, stdout: 'ada has a new password; all logins of ada are over.\n'})
  expect(await ada.run(['whoami'])).toMatchObject({code: 4})
  expect(await plane.login('ada', 'yet another one')).toBeTypeOf('string')
}, 60_000)

test('`node status` shows the readings; a node that is away ends it with 5, one that does not answer with 7', async () => {
  const system = {cpu_usage_percent: 12, memory_usage_percent: 50, memory_total_mb: 2048, memory_used_mb: 1024}
  const gpu = {id: 0, temperature_c: 40, memory_total_mb: 1, memory_used_mb: 0, name: 'RTX4090', uuid: 'GPU-1'}
  const metrics = {
    ...{node_id: 'n', cpu_usage_percent: 12, memory_usage_percent: 50, gpus: [{...gpu, busy: true, usage_percent: 3}]},
    system: {...system, disk_usage_percent: 7, load_average: 0.5, uptime: 10},
  }
  const server = await nativeServer({
    'GET /nodes/gpu-1/metrics': metrics,
    'GET /nodes/gpu-2/metrics': new Refusal(409, 'node_not_online', 'Node gpu-2 is stale.'),
    'GET /nodes/gpu-3/metrics': new Refusal(502, 'node_failed', 'Node gpu-3 could not do it: no answer'),
  })
  const {run, json} = await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret'})

  expect((await run(['node', 'status', 'gpu-1'])).stdout).toContain('RTX4090, 3 %, 40 °C, busy')
  expect(await json(['node', 'status', 'gpu-1'])).toEqual(metrics)
  expect(await run(['node', 'status', 'gpu-2'])).toMatchObject({code: 5, stderr: expect.stringContaining('stale')})
  expect(await run(['node', 'status', 'gpu-3'])).toMatchObject({code: 7, stderr: expect.stringContaining('no answer')})
}, 60_000)

test('`logout --curl` shows the call that ends the login, and ends nothing', async () => {
  const plane = await controlPlane()
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url})
  await plane.user('ada')
  await run(['login', plane.url, '-u', 'ada', '--password-stdin', '--context', 'lab'], {input: 'Long-enough-ada'})

  const {stdout} = await ok(['logout', '--curl', '--all'])
  expect(stdout).toMatch(/^curl -sS -X POST .*Bearer \$GPUCTL_TOKEN.* --data '\{"all":true\}' '.*\/auth\/logout'\n$/)
  expect(await json(['whoami'])).toMatchObject({username: 'ada'})
  expect(await run(['logout'])).toMatchObject({code: 0})
  expect(await run(['whoami'])).toMatchObject({code: 4})
})
