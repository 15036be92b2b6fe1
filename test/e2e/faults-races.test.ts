import {randomInt} from 'node:crypto'
import {setTimeout as pause} from 'node:timers/promises'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {ApiError} from '../../src/client/api-error.ts'
import {busyboxImage} from '../support/images.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'

const verbs = ['start', 'stop', 'restart'] as const
type Verb = (typeof verbs)[number] | 'delete'

/** So long after the one before, in milliseconds, a command is given. */
const sequences = fc.array(
  fc.record({
    verb: fc.oneof(
      {weight: 6, arbitrary: fc.constantFrom(...verbs)},
      {weight: 1, arbitrary: fc.constant('delete' as const)},
    ),
    afterMs: fc.constantFrom(0, 0, 5, 40, 200),
  }),
  {minLength: 3, maxLength: 7},
)

async function give(fleet: WholeFleet, verb: Verb, id: string): Promise<boolean> {
  try {
    if (verb === 'stop') await fleet.client.call('instances.stop', {id, graceSeconds: 1})
    else if (verb === 'restart') await fleet.client.call('instances.restart', {id, graceSeconds: 1})
    else if (verb === 'start') await fleet.client.call('instances.start', {id})
    else await fleet.client.call('instances.delete', {id})
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false // not yet placed, or deleted before
    throw error
  }
}

test('F15: however starts, stops, restarts and deletes follow each other, an instance ends as the last acknowledged one says', async context => {
  await needEngine(context)
  const seed = randomInt(2 ** 31)
  const fleet = await wholeFleet({fakeGpus: '8xRTX4090'})
  const plans = fc.sample(sequences, {seed, numRuns: 8})

  const ends = await Promise.all(
    plans.map(async (plan, index) => {
      const claim = await fleet.submit({gpus: {count: 1}})
      if (index % 2 === 0) await fleet.untilClaim(claim.id, ({status}) => status.phase !== 'Pending')
      let last: Verb = 'start'
      for (const {verb, afterMs} of plan) {
        await pause(afterMs)
        const isAcknowledged = await give(fleet, verb, claim.instanceId)
        if (isAcknowledged && last !== 'delete') last = verb
      }
      return {claim, last, plan}
    }),
  )

  for (const {claim, last, plan} of ends) {
    const told = `seed ${seed}: ${plan.map(({verb, afterMs}) => `${afterMs} ${verb}`).join(', ')}`
    if (last === 'delete') {
      await eventually(async () => (await fleet.containers(claim)).length === 0, {withinMs: 20_000, what: told})
      expect((await fleet.claim(claim.id)).status.phase, told).toBe('Released')
    } else {
      const isRunning = last !== 'stop'
      const settled = async () => {
        const [instance, containers] = await Promise.all([fleet.instance(claim), fleet.containers(claim)])
        const running = containers.filter(({State}) => State === 'running').length
        return instance.status === (isRunning ? 'running' : 'exited') && running === (isRunning ? 1 : 0)
      }
      await eventually(settled, {withinMs: 20_000, everyMs: 100, what: told})
      expect((await fleet.claim(claim.id)).status, told).toMatchObject({phase: 'Running', epoch: 1})
    }
  }
  expect(await fleet.faults(), `seed ${seed}`).toEqual([])
  const held = ends.filter(({last}) => last !== 'delete').length
  await fleet.untilNode(({gpusFree}) => gpusFree === 8 - held)
  for (const {claim} of ends) await give(fleet, 'delete', claim.instanceId)
  await eventually(async () => (await fleet.containers()).length === 0, {withinMs: 15_000, what: `seed ${seed}`})
})

describe('T27: words of tenants', () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J$(touch /tmp/pwned) `id` ; rm -rf / && "\' \\ \n%s\u202e\u009b31m'

  test('reach the container as they are, and nothing else comes of them', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    const command = ['sh', '-c', 'printf "%s" "$EVIL"; printf "|%s|" "$@"; ls /tmp', 'sh', evil, '$(id)', '--', '-v']
    const {id} = await fleet.submit({command, env: {EVIL: evil}, labels: {note: evil, 'gpuctl.server': 'x'}})

    const claim = await fleet.untilClaim(id, ({status}) => status.phase === 'Completed')

    expect(await fleet.output(claim)).toBe(`${evil}|${evil}||$(id)||--||-v|`)
    const {Config} = await fleet.container(claim)
    expect(Config.Labels).toMatchObject({'gpuctl.user.note': evil, 'gpuctl.server': fleet.serverId})
    expect(Config.Cmd).toEqual(command)
  })

  test('are shown without what would steer a terminal', async context => {
    await needEngine(context)
    const fleet = await wholeFleet()
    await fleet.submit({name: 'tricky', image: busyboxImage, command: [evil], labels: {note: evil}})
    await fleet.untilClaim('tricky', ({status}) => status.phase === 'Failed' || status.reason.startsWith('Retrying'))

    for (const args of [
      ['claim', 'get', 'tricky'],
      ['claim', 'list'],
      ['instance', 'get', 'tricky'],
      ['event', 'list'],
    ]) {
      const {stdout, stderr, code} = await fleet.cli(args)
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0)
      expect(stdout).toContain('tricky')
      expect(stdout + stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
    }
  })

  test.for([
    ['a name', {name: 'x\u001b[2J'}],
    ['a name that is a flag', {name: '--privileged'}],
    ['an image with blanks', {image: 'busybox;id'}],
    ['the key of a label', {labels: {'a\u001bb': 'x'}}],
    ['the name of a variable', {env: {'A=B\n': 'x'}}],
    ['a zero byte in a variable', {env: {A: 'x\u0000y'}}],
    ['a zero byte in the command', {command: ['sh', '-c', 'true\u0000false']}],
    ['a policy of the engine', {restart: 'unless-stopped' as 'always'}],
  ] as const)('%s that no container can have is refused, or fails in words', async ([, spec], context) => {
    await needEngine(context)
    const fleet = await wholeFleet()

    const refused = await fleet.submit(spec as never).then(
      async ({id}) => (await fleet.untilClaim(id, ({status}) => status.phase === 'Failed')).status.reason,
      (error: ApiError) => `${error.status} ${error.code}`,
    )

    expect(refused).toBe('400 input_invalid')
    expect(await fleet.containers()).toEqual([])
  })
})
