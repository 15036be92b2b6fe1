import {readFile, stat, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {sharedDocker} from '../support/docker.ts'
import {operator} from '../support/gpuctl.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {callLocalApi} from '../support/local-api.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, sleeper, wholeFleet} from '../support/whole-fleet.ts'

/** A machine that belongs to nobody, and its owner at the terminal. */
async function standalone(flags: string[] = []) {
  const engine = await sharedDocker()
  await ensureBusyboxImage(engine)
  const person = await operator({DOCKER_HOST: `unix://${engine.socketPath}`})
  const started = await person.run([
    ...['agent', 'start', '--standalone', '--local-api', '127.0.0.1:0', '--fake-gpus', '2xRTX4090'],
    ...['--runtime', 'docker', '--detach', ...flags],
  ])
  onTestFinished(async () => void (await person.run(['agent', 'stop'])))
  expect(started, started.stderr).toMatchObject({code: 0})
  const {localApi: url, server} = await person.json<{localApi: string; server: string | null}>(['agent', 'status'])
  const tokenFile = join(person.env.GPUCTL_DATA_DIR as string, 'agent', 'local-api-token')
  const token = (await readFile(tokenFile, 'utf8')).trim()
  const call = (method: string, path: string, body?: object) => callLocalApi({url, token}, method, path, {body})
  return {person, call, url, server, tokenFile, docker: dockerClient(engine)}
}

test('W5.4-1 W5.4-3: a standalone machine runs what the server of document 004 asks for, and gives it back', async context => {
  await needEngine(context)
  const folder = await temporaryDirectory('gpuctl-shared-')
  await writeFile(join(folder, 'note'), 'from the host')
  const {call, docker, server, tokenFile} = await standalone(['--share-folder', folder])
  expect({server, mode: ((await stat(tokenFile)).mode & 0o777).toString(8)}).toEqual({server: null, mode: '600'})
  const claim = `c-${process.pid}-${Date.now()}`

  const made = await call('POST', '/api/v1/containers', {
    claim_id: claim,
    image: busyboxImage,
    gpu_count: 2,
    command: ['sh', '-c', 'cat /shared/note; pwd; echo $A; trap "exit 0" TERM; while :; do sleep 0.1; done'],
    env_vars: ['A=b=c'],
    working_dir: '/tmp',
    port_mappings: [{host_port: 0, container_port: 8888, protocol: 'tcp'}],
    volumes: {[folder]: '/shared'},
  })

  expect(made, made.text).toMatchObject({status: 201})
  const {container_id: id} = made.json
  const info = await docker.getContainer(id).inspect()
  expect(info).toMatchObject({
    Name: `/utopia-claim-${claim}`,
    HostConfig: {RestartPolicy: {Name: 'unless-stopped'}, Privileged: false, CapDrop: ['ALL']},
    Config: {
      Labels: {
        ...{'utopia.claim_id': claim, 'utopia.gpu_ids': '0,1', 'utopia.gpu_count': '2', 'utopia.managed': 'true'},
        'utopia.node_type': 'gpu',
      },
    },
    State: {Running: true},
  })
  expect(info.Config.Env).toContain('GPUCTL_FAKE_GPUS=0,1')
  const output = async () => (await docker.getContainer(id).logs({stdout: true})).toString()
  await eventually(async () => (await output()).includes('b=c'))
  expect(await output()).toContain('from the host')
  expect(await output()).toContain('/tmp')
  const {json: shown} = await call('GET', `/api/v1/containers/${id}`)
  expect(shown).toMatchObject({claim_id: claim, status: 'running', gpu_ids: [0, 1]})
  expect(shown.ports['8888/tcp']).toBe(`0.0.0.0:${info.NetworkSettings.Ports['8888/tcp']?.[0]?.HostPort}`)
  expect(shown.started).toBeGreaterThanOrEqual(shown.created)
  expect((await call('GET', '/api/v1/metrics')).json.gpus.map(({busy}: {busy: boolean}) => busy)).toEqual([true, true])
  const full = await call('POST', '/api/v1/containers', {claim_id: 'next', image: busyboxImage, gpu_count: 1})
  expect(full).toMatchObject({status: 409, json: {code: 'insufficient_gpus'}})

  expect(await call('DELETE', `/api/v1/containers/${id}`)).toMatchObject({status: 204})
  expect(await call('DELETE', `/api/v1/containers/${id}`)).toMatchObject({status: 404})
  await expect(docker.getContainer(id).inspect()).rejects.toMatchObject({statusCode: 404})
}, 60_000)

test('the containers of a standalone machine outlive its agent', async context => {
  await needEngine(context)
  const {call, person, docker} = await standalone()
  const claim_id = `o-${process.pid}-${Date.now()}`
  const {json} = await call('POST', '/api/v1/containers', {
    claim_id,
    image: busyboxImage,
    gpu_count: 1,
    command: sleeper,
  })

  await person.ok(['agent', 'stop'])
  expect((await docker.getContainer(json.container_id).inspect()).State.Running).toBe(true)
  await docker.getContainer(json.container_id).remove({force: true})
}, 60_000)

test('a joined machine shows its containers and readings, and leaves what runs to the control server', async context => {
  await needEngine(context)
  const fleet = await wholeFleet({localApi: true})
  const claim = await fleet.running({gpus: {count: 1}})
  const api = await fleet.localApi()
  const call = (method: string, path: string, body?: object) => callLocalApi(api, method, path, {body})

  const {json: containers} = await call('GET', '/api/v1/containers')
  expect(containers).toMatchObject([
    {id: claim.status.containerId, claim_id: claim.id, status: 'running', gpu_ids: [claim.status.gpus[0]?.index]},
  ])
  const created = await call('POST', '/api/v1/containers', {claim_id: 'x', image: busyboxImage, gpu_count: 1})
  expect(created).toMatchObject({status: 409, json: {code: 'joined', details: {server: fleet.server.server}}})
  expect(await call('DELETE', `/api/v1/containers/${claim.status.containerId}`)).toMatchObject({status: 409})
  const {json: here} = await call('GET', `/api/v1/metrics?node_id=${fleet.nodeId}`)
  const there = await fleet.client.call('nodes.metrics', {id: fleet.nodeId})
  expect(Object.keys(there)).toEqual(Object.keys(here))
  for (const {gpus} of [here, there]) {
    expect(gpus.filter(({busy}: {busy: boolean}) => busy).map(({id}: {id: number}) => id)).toEqual([
      claim.status.gpus[0]?.index,
    ])
  }
  expect((await fleet.claim(claim.id)).status.phase).toBe('Running')
}, 60_000)

test('an address that somebody else has stops the agent only where it was named', async context => {
  await needEngine(context)
  const engine = await sharedDocker()
  const person = await operator({DOCKER_HOST: `unix://${engine.socketPath}`})
  const other = createServer()
  await new Promise<void>(done => other.listen(0, '127.0.0.1', done))
  onTestFinished(() => void other.close())
  const {port} = other.address() as {port: number}

  const start = (...flags: string[]) => person.run(['agent', 'start', '--standalone', '--fake-gpus', '1', ...flags])
  const named = await start('--local-api', `127.0.0.1:${port}`)
  expect(named).toMatchObject({code: 1, stderr: expect.stringContaining(`cannot listen on 127.0.0.1:${port}`)})
  expect(await start('--local-api', 'none')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--local-api HOST:PORT'),
  })
  expect(await start('--local-api', 'nonsense')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--local-api'),
  })
  expect(await start('--share-folder', 'data')).toMatchObject({code: 2, stderr: expect.stringContaining('absolute')})
}, 60_000)
