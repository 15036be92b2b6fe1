import {expect, test} from 'vitest'
import {WaitingLine} from '../../../src/gateway/proxy/waiting-line.ts'
import {eventually} from '../../support/wait.ts'

/** A line for places of two colours, of which so many are free. */
function lineFor(free: Record<string, number>, most = 3) {
  const line = new WaitingLine<string, typeof free>({most, retryAfterSeconds: 60, read: async () => free})
  const taken: string[] = []
  const wait = (name: string, colour: string, {signal = new AbortController().signal, waitMs = 60_000} = {}) =>
    line
      .wait(
        places => {
          if (places[colour] === undefined) throw new Error(`there is no ${colour}`)
          if (places[colour] === 0) return undefined
          places[colour] -= 1
          return name
        },
        {signal, waitMs, tooLate: () => new Error('too late')},
      )
      .then(place => void taken.push(place))
  return {line, wait, taken}
}

test('W1.6-3: who came first is served first, and nobody is kept by one who wants something else', async () => {
  const free: Record<string, number> = {red: 0, blue: 0}
  const {line, wait, taken} = lineFor(free)
  const all = [wait('first', 'red'), wait('second', 'blue'), wait('third', 'blue')]

  free.blue = 1
  await line.look()
  expect(taken).toEqual(['second'])
  expect(line.length).toBe(2)
  Object.assign(free, {red: 1, blue: 1})
  await line.look()
  await Promise.all(all)
  expect(taken).toEqual(['second', 'first', 'third'])
})

test('W1.6-3: one more than fit is refused with the time to wait', async () => {
  const {wait} = lineFor({red: 0}, 1)
  void wait('first', 'red').catch(() => undefined)

  expect(() => wait('second', 'red')).toThrow(expect.objectContaining({code: 'queue_full', details: {seconds: 60}}))
})

test('who leaves, waits too long, or wants what is no more leaves the line and takes nothing', async () => {
  const free: Record<string, number> = {red: 0, blue: 0}
  const {line, wait, taken} = lineFor(free)
  const leaving = new AbortController()
  const left = wait('left', 'red', {signal: leaving.signal})
  const late = wait('late', 'red', {waitMs: 5})
  const lost = wait('lost', 'blue')

  leaving.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  await expect(late).rejects.toThrow('too late')
  delete free.blue
  await line.look()
  await expect(lost).rejects.toThrow('there is no blue')
  free.red = 5
  await line.look()
  expect([line.length, free.red, taken]).toEqual([0, 5, []])
})

test('those who wait look for themselves once in a while: a place may come without a call', async () => {
  const free: Record<string, number> = {red: 0}
  const {wait, taken} = lineFor(free)
  void wait('patient', 'red')

  free.red = 1
  await eventually(() => taken.length === 1, {withinMs: 5_000, what: 'the second look'})
})
