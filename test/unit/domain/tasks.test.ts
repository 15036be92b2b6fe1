import {beforeEach, describe, expect, test} from 'vitest'
import {problem} from '../../../src/domain/errors.ts'
import type {Recipe, Step} from '../../../src/domain/task.ts'
import {need} from '../../support/skips.ts'
import {eventually} from '../../support/wait.ts'
import {world} from '../../support/world.ts'

/** What the steps do to the world outside: it outlives the server, as a disk does. */
class Disk {
  readonly there = new Set<string>()
  readonly done: string[] = []
  /** Called before a step takes effect, and after. */
  hook: (moment: string) => Promise<void> | void = () => {}

  step(name: string, rest: Partial<Step> = {}): Step {
    return {
      name,
      title: () => `Making ${name}`,
      isDone: async () => this.there.has(name),
      do: async () => {
        await this.hook(`before ${name}`)
        if (this.there.has(name)) throw new Error(`${name} was made twice`)
        this.there.add(name)
        this.done.push(name)
        await this.hook(`after ${name}`)
      },
      undo: async () => {
        this.there.delete(name)
        this.done.push(`undo ${name}`)
      },
      ...rest,
    }
  }

  recipe(steps: readonly Step[], rest: Partial<Recipe> = {}): Recipe {
    return {
      type: 'test',
      deadlineMs: 60_000,
      object: () => 'thing',
      locks: () => ['device:n1:/dev/sdb'],
      steps: () => steps,
      result: ({notes}) => ({...notes, made: [...this.there]}),
      ...rest,
    }
  }
}

const over = (status: string) => status === 'completed' || status === 'failed'

describe.each(['sqlite', 'postgres'] as const)('tasks on %s', {timeout: 60_000}, store => {
  beforeEach(context => {
    if (store === 'postgres') need(context, 'postgres')
  })

  async function given(recipe: Recipe) {
    return world({store, recipes: {[recipe.type]: recipe as Recipe<never>}})
  }

  test('a task does its steps in order and tells each of its states', async () => {
    const disk = new Disk()
    const recipe = disk.recipe([disk.step('a'), disk.step('b', {weight: 3})])
    const {services, submitTask, settle, admin} = await given(recipe)
    const {id} = await submitTask(recipe, {size: 1})
    const seen: (number | null)[] = []
    for await (const {progress} of await services.tasks.follow({id}, admin, new AbortController().signal))
      seen.push(progress)
    await settle()

    expect(await services.tasks.get({id}, admin)).toMatchObject({
      ...{status: 'completed', progress: 100, error: null, object: 'thing', result: {made: ['a', 'b']}},
      steps: [
        {name: 'a', title: 'Making a', state: 'done'},
        {name: 'b', title: 'Making b', state: 'done'},
      ],
    })
    expect(disk.done).toEqual(['a', 'b'])
    expect(seen.at(-1)).toBe(100)
    expect((await services.tasks.logs({id}, admin)).map(({text}) => text)).toEqual(['Making a', 'Making b'])
  })

  test('a refusal takes back what was done, last step first, and says why', async () => {
    const disk = new Disk()
    const refuse = async () => {
      throw problem('runtime_refused', {name: 'n1', reason: 'device is busy'})
    }
    const recipe = disk.recipe([disk.step('a'), disk.step('b'), disk.step('c', {do: refuse})])
    const {services, submitTask, settle, admin} = await given(recipe)
    const {id} = await submitTask(recipe, {})
    await settle()

    const task = await services.tasks.get({id}, admin)
    expect(task).toMatchObject({
      status: 'failed',
      error: {code: 'RUNTIME_REFUSED', details: {reason: 'device is busy'}},
    })
    expect(task.steps.map(({state}) => state)).toEqual(['undone', 'undone', 'failed'])
    expect(disk.done).toEqual(['a', 'b', 'undo c', 'undo b', 'undo a'])
    expect(disk.there.size).toBe(0)
  })

  test('what cannot be taken back stands in the error', async () => {
    const disk = new Disk()
    const stuck = async () => {
      throw new Error('no')
    }
    const recipe = disk.recipe([disk.step('a', {undo: stuck}), disk.step('b', {do: stuck})])
    const {services, submitTask, settle, admin, errors} = await given(recipe)
    const {id} = await submitTask(recipe, {})
    await settle()

    const {error, steps} = await services.tasks.get({id}, admin)
    expect(error).toMatchObject({code: 'INTERNAL', details: {notTakenBack: ['Making a']}})
    expect(steps[0]?.state).toBe('done')
    expect(errors).toHaveLength(1)
  })

  test('a step that says it is done and is not fails the task', async () => {
    const disk = new Disk()
    const recipe = disk.recipe([disk.step('a', {do: async () => {}})])
    const {services, submitTask, settle, admin} = await given(recipe)
    const {id} = await submitTask(recipe, {})
    await settle()

    expect(await services.tasks.get({id}, admin)).toMatchObject({status: 'failed', error: {code: 'STEP_UNVERIFIED'}})
  })

  test('a node that is away is waited for', async () => {
    const disk = new Disk()
    let isAway = true
    const again: boolean[] = []
    const step = disk.step('a')
    const away: Step = {
      ...step,
      do: async run => {
        again.push(run.isAgain)
        if (isAway) throw problem('node_offline', {name: 'n1'})
        await step.do(run)
      },
    }
    const {services, submitTask, settle, pass, admin} = await given(disk.recipe([away]))
    const {id} = await submitTask(disk.recipe([away]), {})
    await settle()
    expect(await services.tasks.get({id}, admin)).toMatchObject({
      status: 'running',
      message: expect.stringContaining('n1'),
    })

    isAway = false
    await pass(10_000)
    expect(await services.tasks.get({id}, admin)).toMatchObject({status: 'completed'})
    expect([again[0], again.at(-1)]).toEqual([false, true])
  })

  test('I5: the deadline ends a task that waits for ever, and one that hangs', async () => {
    const disk = new Disk()
    const recipe = disk.recipe([
      disk.step('a'),
      disk.step('b', {
        do: ({signal}) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      }),
    ])
    const {services, submitTask, clock, settle, admin} = await given(recipe)
    const {id} = await submitTask(recipe, {})
    await eventually(async () => (await services.tasks.get({id}, admin)).steps[1]?.state === 'running', {
      what: 'the second step',
    })
    clock.advance(60_001)
    await settle()

    expect(await services.tasks.get({id}, admin)).toMatchObject({status: 'failed', error: {code: 'DEADLINE'}})
    expect(disk.there.size).toBe(0)
  })

  test('what nothing brings back goes on to its end: a cancel amid it comes too late, one before it does not', async () => {
    const disk = new Disk()
    const steps = [disk.step('a'), disk.step('b', {isIrrevocable: true}), disk.step('c')]
    const {admin, services, submitTask, settle} = await given(disk.recipe(steps))
    const cancelAt = async (moment: string) => {
      disk.there.clear()
      const task = await submitTask(disk.recipe(steps), {})
      disk.hook = async now => {
        if (now === moment) await services.tasks.cancel({id: task.id}, admin)
      }
      await settle()
      return services.tasks.get({id: task.id}, admin)
    }

    for (const moment of ['before b', 'after b', 'before c']) {
      expect(await cancelAt(moment)).toMatchObject({status: 'completed', error: null})
      expect([...disk.there]).toEqual(['a', 'b', 'c'])
    }
    expect(await cancelAt('before a')).toMatchObject({status: 'failed', error: {code: 'CANCELLED'}})
    expect([...disk.there]).toEqual([])
  })

  test('F18: what nothing brings back goes on also when its node dies after the cancel; where nothing was done yet it ends', async () => {
    const disk = new Disk()
    const offline = problem('node_offline', {name: 'n1'})
    let looks = 0
    const isDone = async () => {
      if (looks++ === 0) throw offline
      return disk.there.has('b')
    }
    const begun = await given(disk.recipe([disk.step('a'), disk.step('b', {isIrrevocable: true})]))
    const waiting = await given(disk.recipe([disk.step('a'), disk.step('b', {isIrrevocable: true, isDone})]))
    const endOf = async ({submitTask, services, settle, clock, admin}: typeof begun) => {
      disk.there.clear()
      const {id} = await submitTask(disk.recipe([disk.step('a'), disk.step('b')]), {})
      disk.hook = async moment => {
        if (moment !== 'before b') return
        disk.hook = () => {}
        await services.tasks.cancel({id}, admin)
        throw offline
      }
      await settle()
      await services.tasks.cancel({id}, admin)
      await settle()
      clock.advance(5_000)
      await settle()
      return services.tasks.get({id}, admin)
    }

    expect(await endOf(begun)).toMatchObject({status: 'completed', error: null})
    expect([...disk.there]).toEqual(['a', 'b'])
    expect(await endOf(waiting)).toMatchObject({status: 'failed', error: {code: 'CANCELLED'}})
    expect([...disk.there]).toEqual([])
  })

  test('F18: what a server had begun when it died is taken back as begun by a cancel after that', async () => {
    const disk = new Disk()
    const again: boolean[] = []
    const recipe = disk.recipe([disk.step('a', {undo: async ({isAgain}) => void again.push(isAgain)})])
    const {submitTask, services, settle, admin} = await given(recipe)
    disk.hook = () => {
      throw problem('server_stopping', {})
    }
    const {id} = await submitTask(recipe, {})
    await settle()
    await services.tasks.cancel({id}, admin)
    await settle()

    expect(await services.tasks.get({id}, admin)).toMatchObject({status: 'failed', error: {code: 'CANCELLED'}})
    expect(again).toEqual([true])
  })

  test('a cancelled task takes back what it did; cancelling what is over changes nothing', async () => {
    const disk = new Disk()
    const hang: Step['do'] = ({signal}) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const recipe = disk.recipe([disk.step('a'), disk.step('b', {do: hang})])
    const {services, submitTask, settle, admin, caller} = await given(recipe)
    const {id} = await submitTask(recipe, {})
    await eventually(async () => (await services.tasks.get({id}, admin)).steps[1]?.state === 'running', {
      what: 'the second step',
    })

    await expect(services.tasks.cancel({id}, caller)).rejects.toMatchObject({code: 'not_found'})
    await services.tasks.cancel({id}, admin)
    await settle()
    const ended = await services.tasks.get({id}, admin)
    expect(ended).toMatchObject({status: 'failed', error: {code: 'CANCELLED'}})
    expect(disk.there.size).toBe(0)
    expect(await services.tasks.cancel({id}, admin)).toEqual(ended)
  })

  test('two tasks never work on one thing; after the end of the first it is free', async () => {
    const disk = new Disk()
    const recipe = disk.recipe([disk.step('a')])
    const {submitTask, settle} = await given(recipe)
    let goOn = () => {}
    const held = new Promise<void>(resolve => {
      goOn = resolve
    })
    disk.hook = () => held

    const settled = await Promise.allSettled(Array.from({length: 8}, () => submitTask(recipe, {})))
    goOn()
    expect(settled.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    const [refused] = settled.flatMap(one => (one.status === 'rejected' ? [one.reason] : []))
    expect(refused).toMatchObject({
      code: 'task_conflict',
      message: expect.stringMatching(/^Task \d+ works on device \/dev\/sdb: test thing\.$/),
      hint: expect.stringMatching(/gpuctl task wait \d+/),
    })
    await settle()
    disk.there.clear()
    await expect(submitTask(recipe, {})).resolves.toMatchObject({status: 'pending'})
    await settle()
  })

  test.each(['before a', 'after a', 'before b', 'after b'])(
    'F18: a server that dies %s goes on where it was, and nothing is done twice',
    async moment => {
      const disk = new Disk()
      const recipe = disk.recipe([disk.step('a'), disk.step('b')])
      const plane = await given(recipe)
      let fired = 0
      const dead = new Promise<void>(resolve => {
        disk.hook = async now => {
          if (now !== moment || fired > 0) return
          fired++
          resolve()
          // The server dies here: nothing of this step is written down.
          throw problem('server_stopping', {})
        }
      })
      const {id} = await plane.submitTask(recipe, {})
      await dead
      await plane.restart()
      await eventually(async () => over((await plane.services.tasks.get({id}, plane.admin)).status), {
        what: 'the end of the task',
      })

      expect(fired).toBe(1)
      expect(await plane.services.tasks.get({id}, plane.admin)).toMatchObject({status: 'completed'})
      expect(disk.done).toEqual(['a', 'b'])
    },
  )
})

test('T18: others see neither the task nor what it notes', async () => {
  const disk = new Disk()
  const recipe = disk.recipe([disk.step('a')])
  const {services, submitTask, settle, makeUser, caller} = await world({recipes: {test: recipe as Recipe<never>}})
  const {id} = await submitTask(recipe, {}, caller)
  await settle()
  const bob = await makeUser('bob', {})

  for (const ask of [services.tasks.get, services.tasks.logs, services.tasks.cancel]) {
    await expect(ask({id}, bob)).rejects.toMatchObject({code: 'not_found'})
  }
  expect(await services.tasks.list({}, bob)).toEqual([])
  expect(await services.tasks.list({}, caller)).toHaveLength(1)
})
