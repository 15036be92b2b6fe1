import {describe, expect, onTestFinished, test} from 'vitest'
import type {ExecQuery, Report} from '../../../src/contract/agent-protocol.ts'
import {type ControlMessage, encodeControl, encodeFrame, FrameReader, frameKind} from '../../../src/contract/frames.ts'
import {AgentSessions} from '../../../src/link/agent-sessions.ts'
import {linkPair} from '../../../src/link/in-process.ts'
import type {DuplexCall} from '../../../src/link/server-end.ts'
import {handlerForEachLink} from '../../../src/main/link-handlers.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import type {ExecSession} from '../../../src/runtime/driver.ts'
import {eventually} from '../../support/wait.ts'
import type {Doubts} from './doubtful-driver.ts'
import {desired, nodeId, wanted} from './examples.ts'
import {TestNode} from './node.ts'

const allLines = {follow: false, timestamps: false, stdout: true, stderr: true}

/** A node with one running instance, its link, and what the server heard over it. */
async function linked(doubts: Doubts = {}, env: Record<string, string> = {}) {
  const node = new TestNode()
  const {agent} = await node.boot({doubts})
  const reports: Report[] = []
  const ends: string[] = []
  const sessions = new AgentSessions({
    owner: {
      opened: async () => {},
      closed: async (_, reason) => void ends.push(reason),
      report: async (_, report) => void reports.push(report),
    },
    logger: createLogger({level: 'silent'}),
  })
  const connect = () => sessions.adopt(nodeId, linkPair(handlerForEachLink(agent)))
  connect()
  onTestFinished(() => sessions.close())
  await sessions.agent(nodeId).setDesired(desired(1, wanted({env})))
  const running = await eventually(() =>
    reports.flatMap(one => (one.type === 'instances' ? one.instances : [])).findLast(one => one.state === 'running'),
  )
  return {node, agent, sessions, connect, reports, ends, id: running.containerId, session: sessions.agent(nodeId)}
}

async function readFrames(output: AsyncIterable<Uint8Array>) {
  const reader = new FrameReader()
  const text = {stdout: '', stderr: ''}
  const controls: ControlMessage[] = []
  for await (const piece of output) {
    for (const {kind, payload} of reader.read(piece)) {
      const content = Buffer.from(payload).toString()
      if (kind === frameKind.control) controls.push(JSON.parse(content))
      else text[kind === frameKind.stderr ? 'stderr' : 'stdout'] += content
    }
  }
  return {...text, controls, exit: controls.findLast(one => one.exit)?.exit}
}

function command(...words: string[]): ExecQuery {
  return {command: words, tty: false, stdin: true, env: {}}
}

const type = (call: DuplexCall, text: string) => call.write(encodeFrame(frameKind.stdin, Buffer.from(text)))

describe('over a link', () => {
  test('the server hears hello, beat and all instances first, and then what changes', async () => {
    const {reports, session} = await linked()
    await session.setDesired(desired(2, wanted({state: 'removed'})))
    await eventually(() =>
      reports.some(
        one => one.type === 'instances' && one.desiredRevision === 2 && one.instances[0]?.state === 'removed',
      ),
    )

    expect(reports[0]).toMatchObject({type: 'hello', inventory: {runtime: 'fake', gpus: [{index: 0}, {index: 1}]}})
    expect(reports[1]?.type).toBe('beat')
  })

  test('an older wish than the last one of this link is ignored; a new link begins anew', async () => {
    const {session, sessions, connect, agent, node, reports} = await linked()
    await session.setDesired(desired(5, wanted()))
    await session.setDesired(desired(4))
    await agent.idle()
    const before = reports.length

    connect()
    await eventually(() => reports.slice(before).some(one => one.type === 'hello'))
    expect(reports.findLast(one => one.type === 'hello')).toMatchObject({desiredRevision: 5})
    await sessions.agent(nodeId).setDesired(desired(3, wanted({state: 'stopped'})))
    await node.until(async () => (await node.engine.list())[0]?.state === 'exited')
  })

  test('a wish that the agent cannot take is refused with its words', async () => {
    const {session} = await linked()

    await expect(session.setDesired({...desired(9), nodeId: 'other'})).rejects.toMatchObject({
      name: 'RemoteError',
      status: 500,
    })
  })

  test('readings of a container come until the reader leaves, and not after it', async () => {
    const {session, node, id} = await linked()
    const leave = new AbortController()
    const seen: unknown[] = []
    const reading = (async () => {
      for await (const one of await session.stats(id, leave.signal)) {
        seen.push(one)
        leave.abort()
      }
    })()

    reading.catch(() => {})
    await node.until(() => seen.length > 0)
    await expect(reading).rejects.toThrow()
    expect(seen[0]).toMatchObject({at: expect.any(String), cpuPercent: expect.anything()})
  })

  test.each(['logs', 'stats', 'exec'] as const)('%s of a container that is not there are a 404', async what => {
    const {session} = await linked()
    const {signal} = new AbortController()
    const asked = {
      logs: () => session.logs('nobody', allLines, signal),
      stats: () => session.stats('nobody', signal),
      exec: () => session.exec('nobody', command('true')),
    }

    await expect(asked[what]()).rejects.toMatchObject({status: 404, code: 'no_container'})
  })

  test('a followed log has bookmarks and ends with the workload and its exit code', async () => {
    const {session, node, id} = await linked({}, {GPUCTL_FAKE_STDOUT: 'one\ntwo', GPUCTL_FAKE_STDERR: 'oh'})
    const body = await session.logs(id, {...allLines, follow: true}, new AbortController().signal)
    const read = readFrames(body)
    await node.engine.stop(id, 0)

    const {stdout, stderr, controls, exit} = await read
    expect({stdout, stderr}).toEqual({stdout: 'one\ntwo\n', stderr: 'oh\n'})
    expect(controls.filter(one => one.last)).toHaveLength(3)
    expect(exit).toEqual({code: 143, reason: ''})
  })

  test('a log that is not followed is sent as it is, with or without its times', async () => {
    const {session, id} = await linked({}, {GPUCTL_FAKE_STDOUT: 'one\ntwo'})
    const {signal} = new AbortController()

    expect(await readFrames(await session.logs(id, {...allLines, tail: 1}, signal))).toMatchObject({
      stdout: 'two\n',
      controls: [],
    })
    const {stdout} = await readFrames(await session.logs(id, {...allLines, timestamps: true}, signal))
    expect(stdout).toMatch(/^2026-01-01T00:00:0\d.\d{9}Z one\n2026-\S+Z two\n$/)
  })

  test('a log that the engine cuts while the container runs on is no whole log', async () => {
    const doubts: Doubts = {
      before: name => {
        if (name === 'logs') throw new Error('the engine went away')
      },
    }
    const {session, id} = await linked(doubts)
    const body = await session.logs(id, {...allLines, follow: true}, new AbortController().signal)

    await expect(readFrames(body)).rejects.toMatchObject({name: 'LinkError'})
  })
})

describe('exec over a link', () => {
  test('carries input, output and the exit code', async () => {
    const {session, id} = await linked()
    const call = await session.exec(id, command('cat'))
    const read = readFrames(call.output)
    await type(call, 'one\n')
    await type(call, 'two\n')
    await call.write(encodeControl({eof: true}))

    const {stdout, exit} = await read
    expect(stdout).toBe('one\ntwo\n')
    expect(exit).toEqual({code: 0, reason: ''})
  })

  test('takes the end of the call’s input for the end of the process’s', async () => {
    const {session, id} = await linked()
    const call = await session.exec(id, command('cat'))
    const read = readFrames(call.output)
    await type(call, 'all\n')
    call.endInput()

    expect(await read).toMatchObject({stdout: 'all\n', exit: {code: 0}})
  })

  test('carries the exit code of the process', async () => {
    const {session, id} = await linked()
    const call = await session.exec(id, {...command('x'), stdin: false, env: {GPUCTL_FAKE_EXIT_CODE: '7'}})

    expect((await readFrames(call.output)).exit).toEqual({code: 7, reason: ''})
  })

  test('a process whose caller is cut off is killed', async () => {
    const exitCodes: Promise<number>[] = []
    const after: Doubts['after'] = (name, _, answer) => {
      if (name === 'exec') exitCodes.push((answer as ExecSession).exited)
    }
    const {session, sessions, id} = await linked({after})
    const call = await session.exec(id, command('cat'))
    await type(call, 'one')
    sessions.drop(nodeId, 'cut')

    expect(await exitCodes[0]).toBe(137)
  })

  test('a command that cannot be read is refused', async () => {
    const {session, id} = await linked()

    await expect(session.exec(id, {...command(), command: []})).rejects.toMatchObject({status: 400})
  })
})
