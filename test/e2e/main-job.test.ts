import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {describe, expect, onTestFinished, test} from 'vitest'
import {sharedDocker} from '../support/docker.ts'
import {operator} from '../support/gpuctl.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {need} from '../support/skips.ts'

const loop = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.1; done']

/** Starts a fleet of one machine and admits it. */
async function fleet(runtime: 'docker' | 'process', gpus: string) {
  const env = runtime === 'docker' ? {DOCKER_HOST: `unix://${(await sharedDocker()).socketPath}`} : {}
  const someone = await operator(env)
  await someone.ok([
    ...['up', '--detach', '--listen', '127.0.0.1:0', '--ssh-port', '0'],
    ...['--runtime', runtime, '--fake-gpus', gpus],
  ])
  const [pending] = await someone.json<{code: string; name: string}[]>(['node', 'pending'])
  await someone.ok(['nodes', 'approve', pending?.code ?? '', '--wait'])
  return someone
}

describe.each(['docker', 'process'] as const)('the main job on %s', runtime => {
  const image = runtime === 'docker' ? busyboxImage : 'host'

  test('join, approve, claim, logs, stats, a claim that waits and then runs, down', async context => {
    if (runtime === 'docker') {
      need(context, 'docker')
      await ensureBusyboxImage(await sharedDocker())
    }
    const someone = await fleet(runtime, '1xRTX4090')
    const {serverId} = await someone.json<{serverId: string}>(['status'])

    // The machine is online, with its simulated card.
    const nodes = await someone.json<{name: string; status: string; gpus: {simulated: boolean}[]}[]>(['nodes', 'list'])
    expect(nodes).toMatchObject([{status: 'online', gpus: [{model: expect.stringContaining('4090'), simulated: true}]}])

    // A claim becomes a running instance.
    await someone.ok(['claim', 'submit', '--image', image, '--gpus', '1', '--name', 'train', '--wait', '--', ...loop])
    const instance = await someone.json<Record<string, unknown>>(['instance', 'get', 'train'])
    expect(instance).toMatchObject({status: 'running', claim: 'train', name: 'train'})

    // Logs and readings.
    const {stdout} = await someone.ok(['instance', 'logs', 'train', '--tail', '2'])
    expect(stdout).toMatch(/^line \d+\nline \d+\n$/)
    const stats = await someone.json<unknown>(['node', 'stats', '--once'])
    expect([stats].flat(2)).toMatchObject([{status: 'online', gpus: [{simulated: true}]}])
    const used = await someone.json<unknown>(['instance', 'stats', 'train', '--once'])
    expect([used].flat(2)).toMatchObject([{name: 'train'}])

    // A second one waits and says why; when the first goes, it runs, and its exit code is the CLI's.
    await someone.ok([
      ...[
        'claim',
        'submit',
        '--image',
        image,
        '--gpus',
        '1',
        '--name',
        'second',
        '--',
        'sh',
        '-c',
        'echo mine; exit 7',
      ],
    ])
    const why = await someone.json<{phase: string; verdict: string}>(['claim', 'explain', 'second'])
    expect(why).toMatchObject({phase: 'Pending', verdict: expect.stringMatching(/GPU/)})
    await someone.ok(['claim', 'cancel', 'train'])
    const followed = await someone.run(['instance', 'logs', '-f', 'second'])
    expect(followed).toMatchObject({code: 7, stdout: 'mine\n'})
    const ended = await someone.json<Record<string, unknown>>(['claim', 'get', 'second'])
    expect(ended).toMatchObject({status: {phase: 'Failed', exitCode: 7}})

    // `up` again changes nothing; `down` ends both and keeps the data.
    await someone.ok(['up', '--detach'])
    expect(await someone.json<unknown[]>(['node', 'list'])).toHaveLength(1)
    await someone.ok(['down'])
    expect(await someone.run(['node', 'list'])).toMatchObject({code: 7})
    await someone.ok(['up', '--detach', '--listen', '127.0.0.1:0', '--runtime', runtime, '--fake-gpus', '1xRTX4090'])
    await someone.ok(['wait', `node/${nodes[0]?.name}`, '--for', 'online', '--timeout', '30s'])
    expect(await someone.json<Record<string, unknown>>(['claim', 'get', 'second'])).toMatchObject({
      status: {exitCode: 7},
    })
    if (runtime === 'docker') await removeContainers(serverId)
  })
})

test('`up` that cannot start says why, leaves nothing behind, and keeps the first password for the start that works', async () => {
  const someone = await operator()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  onTestFinished(() => void taken.close())
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`
  const up = ['up', '--detach', '--runtime', 'process']

  expect(await someone.run([...up, '--fake-gpus', 'foo'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--fake-gpus: "foo"'),
  })
  expect(await someone.run(['server', 'logs'])).toMatchObject({code: 0, stdout: ''})
  const refused = await someone.run([...up, '--listen', address], {withinMs: 20_000})
  expect(refused).toMatchObject({code: 1, stderr: expect.stringContaining(`${address} is taken by another program`)})
  const {password} = await someone.json<{password: string}>([...up, '--listen', '127.0.0.1:0', '--fake-gpus', '1'])
  expect(password).toMatch(/.{12,}/)

  // An agent that is started again goes on with the code that it has shown.
  const [{code}] = await someone.json<[{code: string}]>(['node', 'pending'])
  await someone.ok(['agent', 'stop'])
  await someone.ok([...up, '--fake-gpus', '1'])
  expect(await someone.json<unknown[]>(['node', 'pending'])).toMatchObject([{code}])

  // A second agent in the same folder goes, and does not take the first one's traces along.
  const server = await someone.json<{urls: [string]}>(['server', 'status'])
  expect(await someone.run(['agent', 'start', '--server', server.urls[0]])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/in use by process \d+\. \(E_\w+\)\n(Why: .*\n)?Try: .*agent status/),
  })
  expect(await someone.run(['agent', 'status'])).toMatchObject({code: 0, stdout: expect.stringContaining('joining')})
  expect(await someone.run([...up, '--fake-gpus', '4'])).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('without effect: --runtime, --fake-gpus'),
  })
})

/** Of this server alone: others work on the same engine meanwhile. */
async function removeContainers(serverId: string): Promise<void> {
  const docker = dockerClient(await sharedDocker())
  for (const {Id} of await docker.listContainers({all: true, filters: {label: [`gpuctl.server=${serverId}`]}})) {
    await docker.getContainer(Id).remove({force: true})
  }
}
