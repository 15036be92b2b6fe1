import {describe, expect, test} from 'vitest'
import type {Caller} from '../../../src/domain/caller.ts'
import {gpuNode, world} from '../../support/world.ts'

const pem = (word: string) => `-----BEGIN ${word}-----\nx\n-----END ${word}-----`
const engine = {docker: 'tcp://192.0.2.7:2376', ca: pem('CA'), cert: pem('CERT'), key: pem('canary-key')}
const hamiCore = '/root/HAMi-core/build'

describe('machines that the server reaches itself', () => {
  test('W3.1-8: what the operator says is kept, and its engine is asked at once', async () => {
    const {services, admin} = await world()

    const node = await services.nodes.add(
      {
        ...engine,
        ...{name: 'rack-7', region: 'eu-1', publicIp: '192.0.2.7', privateIp: '10.0.0.7'},
        ...{cpu: 'Intel Xeon Gold 6248', memory: '256GB', systemDisk: 500, dataDisk: '2TB', remark: 'third rack'},
        ...{gpuModel: 'RTX 4090', gpuCount: 8, gpuMemoryMiB: 24_576, hamiCore: `${hamiCore}/`, listed: false},
      },
      admin,
    )

    expect(node).toMatchObject({
      ...{name: 'rack-7', kind: 'docker', admission: 'active', address: '192.0.2.7', listed: false, hamiCore},
      listing: {
        ...{region: 'eu-1', publicIp: '192.0.2.7', privateIp: '10.0.0.7', cpu: 'Intel Xeon Gold 6248'},
        ...{memory: '256GB', systemDisk: 500, dataDisk: '2TB', remark: 'third rack'},
      },
      declaredGpus: {model: 'RTX 4090', count: 8, memoryMiB: 24_576},
      docker: {address: engine.docker, useTls: true, ca: engine.ca, cert: engine.cert, key: '******'},
      ...{dockerStatus: 'connected', dockerCheckedAt: expect.any(String)},
    })
  })

  test('T14: secrets are written, sealed and never read; stars and silence leave them as they are', async () => {
    const {services, store, admin} = await world()
    const {id} = await services.nodes.add({...engine, name: 'rack-7', sshPassword: 'canary-password'}, admin)
    const before = await store.nodes.find(id)

    const starred = await services.nodes.update({id, key: '******', sshPassword: '******', region: 'eu-2'}, admin)

    const after = await store.nodes.find(id)
    expect(starred).toMatchObject({docker: {key: '******'}, ssh: {password: '******'}, listing: {region: 'eu-2'}})
    expect(after?.docker?.sealedKey).toBe(before?.docker?.sealedKey)
    expect(after?.facts?.ssh.sealedPassword).toBe(before?.facts?.ssh.sealedPassword)
    expect(JSON.stringify([starred, await store.audit.list(10), await store.events.list({})])).not.toContain('canary')

    const changed = await services.nodes.update({id, sshPassword: ''}, admin)
    expect(changed.ssh).toMatchObject({password: ''})
    await services.nodes.update({id, key: pem('another')}, admin)
    expect((await store.nodes.find(id))?.docker?.sealedKey).not.toBe(before?.docker?.sealedKey)
  })

  test('T14: stars for a new machine are no password', async () => {
    const {services, store, admin} = await world()
    const {id, ssh} = await services.nodes.add({name: 'rack-7', sshUser: 'root', sshPassword: '******'}, admin)
    expect(ssh).toEqual({port: 22, user: 'root', password: ''})
    expect((await store.nodes.find(id))?.facts?.ssh.sealedPassword).toBe('')
  })

  test('how a machine is reached is not for those who rent on it', async () => {
    const {services, admin, caller} = await world()
    const {id} = await services.nodes.add({...engine, name: 'rack-7', publicIp: '192.0.2.7'}, admin)

    const seen = await services.nodes.get({id}, caller)

    expect(seen).toMatchObject({docker: null, ssh: null, listing: {publicIp: '192.0.2.7'}, dockerStatus: 'connected'})
  })

  test.each([
    ['no TLS on the network', {docker: 'tcp://10.0.0.7:2375', useTls: false}, 'useTls'],
    ['no TLS on a name that only looks local', {docker: 'tcp://127.0.0.1.evil.example:2375', useTls: false}, 'useTls'],
    ['no certificates', {docker: 'tcp://10.0.0.7:2376'}, 'docker'],
    ['a key without a certificate', {docker: 'tcp://10.0.0.7:2376', ca: pem('CA'), key: pem('KEY')}, 'docker'],
    ['another protocol', {docker: 'http://10.0.0.7:2376'}, 'docker'],
    ['a user in the address', {docker: 'tcp://root@10.0.0.7:2376'}, 'docker'],
    ['a path behind the address', {docker: 'tcp://10.0.0.7:2376/v1.41'}, 'docker'],
  ])('T21: %s is refused', async (_, input, field) => {
    const {services, admin} = await world()
    await expect(services.nodes.add({name: 'rack-7', ...input}, admin)).rejects.toMatchObject({
      code: 'input_invalid',
      details: {field},
    })
    expect(await services.nodes.list({}, admin)).toEqual([])
  })

  test.each(['tcp://127.0.0.1:2375', 'tcp://localhost:2375', 'tcp://[::1]:2375', 'unix:///var/run/docker.sock'])(
    'T21: without TLS %s will do, which nobody else can reach',
    async docker => {
      const {services, admin} = await world()
      const node = await services.nodes.add({name: 'here', docker, useTls: false}, admin)
      expect(node.docker).toMatchObject({address: docker, useTls: false, key: ''})
    },
  )

  test('T17: only folders of HAMi-core that the server allows are ever bound', async () => {
    const {services, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const spellings = [
      ...['/', '/etc', '/root', '/root/HAMi-core', '/root/HAMi-core/build/..', '/root/HAMi-core/build/../../.ssh'],
      ...[
        '/root/HAMi-core/build/../build',
        '//root/HAMi-core/build',
        '/root/./HAMi-core/build',
        'root/HAMi-core/build',
      ],
      ...[
        '/root/HAMi-core/build\0',
        '/root/HAMi-core/build%2e%2e',
        '/root/HAMi-core/build:/etc',
        '/ROOT/HAMi-core/build',
      ],
      ...['/root/HAMi-core/build,/etc', '/root/HAMi‑core/build', '/proc/1/root', '/var/run/docker.sock', '..', '.'],
    ]

    for (const spelling of spellings) {
      const refused = services.nodes.update({id: 'gpu-1', hamiCore: spelling}, admin)
      await expect(refused, JSON.stringify(spelling)).rejects.toMatchObject({details: {field: 'hamiCore'}})
    }
    expect(await services.nodes.update({id: 'gpu-1', hamiCore}, admin)).toMatchObject({hamiCore})
    expect(await services.nodes.update({id: 'gpu-1', hamiCore: ''}, admin)).toMatchObject({hamiCore: ''})
  })

  test('W3.1-9: of a node that dials in, its own agent says whether its engine answers', async () => {
    const {services, agent, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    expect(await services.nodes.test({id: 'gpu-1'}, admin)).toMatchObject({status: 'connected'})
    expect(await services.nodes.get({id: 'gpu-1'}, admin)).toMatchObject({dockerStatus: 'connected', docker: null})

    await agent('gpu-1').beat('degraded')
    expect(await services.nodes.test({id: 'gpu-1'}, admin)).toMatchObject({status: 'unreachable'})
    expect(await services.nodes.get({id: 'gpu-1'}, admin)).toMatchObject({dockerStatus: 'failed'})
  })

  test('what a node tells itself cannot be declared for it', async () => {
    const {services, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const id = 'gpu-1'
    await expect(services.nodes.update({id, ...engine}, admin)).rejects.toMatchObject({details: {field: 'docker'}})
    expect(await services.nodes.update({id, gpuModel: 'H100', gpuCount: 8, docker: ''}, admin)).toMatchObject({
      ...{declaredGpus: null, docker: null, gpus: [{model: 'RTX 4090'}]},
    })
  })

  test('a new name is taken unless another node has it', async () => {
    const {services, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const {id} = await services.nodes.add({name: 'rack-7'}, admin)
    await expect(services.nodes.update({id, name: 'gpu-1'}, admin)).rejects.toMatchObject({code: 'name_taken'})
    expect(await services.nodes.update({id, name: 'rack-8'}, admin)).toMatchObject({name: 'rack-8'})
    expect(await services.nodes.get({id: 'rack-8'}, admin)).toMatchObject({id})
  })

  test('two who change one node at once do not lose a change: one of them is told', async () => {
    const {services, admin} = await world({nodes: [gpuNode('gpu-1', 1)]})
    const change = (region: string, by: Caller) => services.nodes.update({id: 'gpu-1', region}, by)
    const outcomes = await Promise.allSettled([change('eu-1', admin), change('eu-2', admin)])
    const refused = outcomes.filter(({status}) => status === 'rejected')
    expect(refused.length).toBeLessThan(2)
    for (const one of refused) expect(one).toMatchObject({reason: {code: 'changed_meanwhile'}})
  })
})
