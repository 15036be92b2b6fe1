import {describe, expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

describe('what flows from the controllers', () => {
  test('P10: a freed GPU is given to the next claim by the event alone, without the tick', async () => {
    const {services, caller, settle, agent, clock} = await world({nodes: [gpuNode('one', 1)]})
    for (let at = 0; at < 20; at++)
      await services.claims.submit({image: 'cuda', name: `job-${at}`, gpus: {count: 1}}, caller)
    await settle()
    const before = clock.now()

    for (let at = 0; at < 19; at++) {
      expect(
        agent('one')
          .running()
          .map(({wanted}) => wanted.name),
      ).toEqual([`job-${at}`])
      await agent('one').exit(`job-${at}`, 0)
      await settle()
    }

    expect(
      agent('one')
        .running()
        .map(({wanted}) => wanted.name),
    ).toEqual(['job-19'])
    expect(clock.now()).toBe(before)
    expect(agent('one').doubles).toEqual([])
  })

  test('a followed log waits for the start, and ends with the exit code of the workload', async () => {
    const {services, caller, settle, agent, admin} = await world({nodes: [gpuNode('one', 1)]})
    await services.nodes.cordon({id: 'one', reason: 'upkeep'}, admin)
    await services.claims.submit({image: 'cuda', name: 'job', gpus: {count: 1}}, caller)
    const items: {event: string; id: string; data: unknown}[] = []
    const reading = (async () => {
      const signal = new AbortController().signal
      for await (const item of await services.instances.followLogs({id: 'job'}, undefined, caller, signal))
        items.push(item)
    })()

    await services.nodes.uncordon({id: 'one'}, admin)
    await settle()
    await agent('one').exit('job', 7)
    await settle()
    await reading

    expect(items.map(({event}) => event)).toEqual(['log', 'end'])
    expect(items[0]).toMatchObject({
      id: '2026-01-01T00:00:01.000000000Z/1',
      data: {stream: 'stdout', text: 'start 1\n'},
    })
    expect(items[1]).toMatchObject({data: {status: 'failed', exitCode: 7, reason: 'ExitCode 7'}})

    const again = await services.instances.followLogs({id: 'job'}, items[0]!.id, caller, new AbortController().signal)
    const rest: string[] = []
    for await (const {event} of again) rest.push(event)
    expect(rest).toEqual(['end'])
  })

  test('events come after the commit, and others hear only of their own claims', async () => {
    const {services, caller, makeUser} = await world()
    const bob = await makeUser('bob', {})
    const heard: [string, boolean, boolean][] = []
    const pending: Promise<void>[] = []
    const stop = services.events.subscribe(event => {
      const see = async () => {
        heard.push([
          event.type,
          await services.events.visible(event, caller),
          await services.events.visible(event, bob),
        ])
      }
      pending.push(see())
    })

    await services.claims.submit({image: 'cuda', name: 'mine'}, caller)
    stop()
    await services.claims.cancel({id: 'mine'}, caller)
    await Promise.all(pending)

    expect(heard).toEqual([['Submitted', true, false]])
  })

  test('the fleet on one screen counts and names what is broken', async () => {
    const {services, admin, pass, agent} = await world({nodes: [gpuNode('one', 2), gpuNode('two', 1)]})
    await agent('two').disconnect()
    await pass(65_000)

    const status = await services.server.status({}, admin)

    expect(status).toMatchObject({
      nodes: {online: 1, stale: 1},
      gpus: {total: 3, free: 2, used: 0, unavailable: 1, simulated: 3},
    })
    expect(status.problems).toEqual(['Silent: two.'])
    expect((await services.gpus.list({free: true}, admin)).map(({node}) => node)).toEqual(['one', 'one'])
  })
})
