import {execFileSync, spawn} from 'node:child_process'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {makeCertificates} from '../support/certs.ts'
import {fakeGpuHookPath, testDockerd} from '../support/docker.ts'
import {operator, program} from '../support/gpuctl.ts'
import {dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'

/** A network namespace joined to this one by a pair of interfaces; gone with the test. */
function networkNamespace(name: string): {here: string; run: string[]} {
  const ip = (...args: string[]) => execFileSync('ip', args)
  const octet = 1 + Math.floor(Math.random() * 250)
  const here = `10.213.${octet}.1`
  ip('netns', 'add', name)
  onTestFinished(() => void execFileSync('ip', ['netns', 'delete', name]))
  ip('link', 'add', `v${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  ip('addr', 'add', `${here}/24`, 'dev', `v${name}`)
  ip('link', 'set', `v${name}`, 'up')
  ip('-n', name, 'addr', 'add', `10.213.${octet}.2/24`, 'dev', 'eth0')
  ip('-n', name, 'link', 'set', 'eth0', 'up')
  ip('-n', name, 'link', 'set', 'lo', 'up')
  return {here, run: ['ip', 'netns', 'exec', name]}
}

test('an agentless Docker over mutual TLS and an agent in its own network take claims side by side', async context => {
  need(context, 'docker', 'netns', 'openssl', 'root')
  const someone = await operator()
  const {here, run} = networkNamespace(`gpt${process.pid % 10_000}`)
  await someone.ok(['up', '--detach', '--listen', '127.0.0.1:0', '--also-listen', `${here}:0`, '--runtime', 'process'])
  const {urls} = await someone.json<{urls: string[]}>(['server', 'status'])
  const outside = urls.find(url => url.includes(here)) ?? ''

  // The agentless one: the server itself works on this engine.
  const certificates = await makeCertificates(join(someone.home, 'certificates'))
  const engine = await testDockerd({name: 'far', tls: certificates, extraPath: fakeGpuHookPath})
  const image = await ensureBusyboxImage({socketPath: engine.socketPath})
  await someone.ok([
    ...[
      'node',
      'add',
      'far',
      '--docker',
      `tcp://${engine.host}:${engine.port}`,
      '--gpu-model',
      'RTX 4090',
      '--gpu-count',
      '1',
    ],
    ...['--tls-ca', join(certificates.folder, 'ca.pem'), '--tls-cert', join(certificates.folder, 'cert.pem')],
    ...['--tls-key', join(certificates.folder, 'key.pem')],
  ])
  await someone.ok(['wait', 'node/far', '--for', 'online', '--timeout', '30s'])

  // The other one: an agent in a network of its own, which can only dial out.
  const agent = spawn(
    run[0] ?? '',
    [
      ...run.slice(1),
      process.execPath,
      program,
      'agent',
      'start',
      '--server',
      outside,
      '--runtime',
      'process',
      '--name',
      'near',
      '--fake-gpus',
      '1xL40S',
    ],
    {env: {...someone.env, GPUCTL_DATA_DIR: join(someone.home, 'near')}, stdio: 'ignore'},
  )
  onTestFinished(() => void agent.kill('SIGTERM'))
  const pending = await eventually(
    async () =>
      (await someone.json<{code: string; name: string}[]>(['node', 'pending'])).find(node => node.name === 'near'),
    {withinMs: 20_000, what: 'the agent in the namespace asks to join'},
  )
  await someone.ok(['node', 'approve', pending.code, '--wait', '--expect-host', 'near'])

  const submit = (name: string, model: string, using: string) =>
    someone.ok([
      ...['claim', 'submit', '--name', name, '--image', using, '--gpus', '1', '--gpu-model', model, '--wait', '--'],
      ...['sh', '-c', 'echo "gpus $NVIDIA_VISIBLE_DEVICES $GPUCTL_GPUS"; sleep 300'],
    ])
  await Promise.all([submit('a', '4090', image), submit('b', 'L40S', 'host')])
  const instances = await someone.json<{name: string; node: string; status: string}[]>(['instance', 'list'])
  expect(instances.map(({name, node, status}) => [name, node, status]).sort()).toEqual([
    ['a', 'far', 'running'],
    ['b', 'near', 'running'],
  ])
  const [container] = await dockerClient({socketPath: engine.socketPath}).listContainers({})
  const {HostConfig} = await dockerClient({socketPath: engine.socketPath})
    .getContainer(container?.Id ?? '')
    .inspect()
  expect(HostConfig.DeviceRequests).toMatchObject([{DeviceIDs: ['0']}])
  expect((await someone.ok(['instance', 'logs', 'b'])).stdout).toContain('gpus')
  await someone.ok(['instance', 'delete', 'a', '--yes'])
  await someone.ok(['instance', 'delete', 'b', '--yes'])
})
