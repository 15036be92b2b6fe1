import {expect, test} from 'vitest'
import {RollbackFailed, withRollback} from '../../../src/platform/rollback.ts'

test('takes the steps back in reverse when the work fails, and only then', async () => {
  const undone: string[] = []
  const work = (fails: boolean) =>
    withRollback(async rollback => {
      for (const name of ['pool', 'share', 'mount']) rollback.add(name, () => undone.push(name))
      if (fails) throw new Error('no room')
      return 'done'
    })

  expect(await work(false)).toBe('done')
  expect(undone).toEqual([])
  await expect(work(true)).rejects.toThrow('no room')
  expect(undone).toEqual(['mount', 'share', 'pool'])
})

test('a step that cannot be taken back is named, and the others are tried all the same', async () => {
  const undone: string[] = []
  const work = withRollback(async rollback => {
    rollback.add('pool', () => undone.push('pool'))
    rollback.add('share', () => Promise.reject(new Error('busy')))
    throw new Error('no room')
  })

  const error = await work.catch(error => error)
  expect(error).toBeInstanceOf(RollbackFailed)
  expect(error).toMatchObject({message: 'no room (not taken back: share)', left: [{name: 'share'}]})
  expect(undone).toEqual(['pool'])
})
