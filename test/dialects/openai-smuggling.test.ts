import {once} from 'node:events'
import {connect} from 'node:net'
import {expect, test} from 'vitest'
import {chat, chatPath, inferenceWorld} from '../support/inference-world.ts'

const body = JSON.stringify(chat)
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const second = `POST ${chatPath} HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: 1\r\nContent-Length: 0\r\n\r\n`

/** Head lines and what follows the head: where two readers of HTTP could see two different requests. */
const corpus: [string, string[], string][] = [
  ['both lengths', [`Content-Length: ${chunked.length}`, 'Transfer-Encoding: chunked'], chunked],
  ['both lengths, the other way round', ['Transfer-Encoding: chunked', 'Content-Length: 4'], chunked + second],
  ['two lengths', ['Content-Length: 4', `Content-Length: ${body.length}`], body],
  ['a list of lengths', [`Content-Length: ${body.length}, ${body.length}`], body],
  ['a signed length', [`Content-Length: +${body.length}`], body],
  ['a negative length', ['Content-Length: -1'], body],
  ['a length in hex', [`Content-Length: 0x${body.length.toString(16)}`], body],
  ['a length with a space within', ['Content-Length: 1 2'], body],
  ['a huge length', ['Content-Length: 99999999999999999999999'], body],
  ['an unknown coding', ['Transfer-Encoding: xchunked'], chunked],
  ['a coding after chunked', ['Transfer-Encoding: chunked, identity'], chunked],
  ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked],
  ['a folded header', ['Transfer-Encoding:', ' chunked'], chunked],
  ['a folded length', [`Content-Length:\r\n ${body.length}`], body],
  ['a space before the colon', ['Transfer-Encoding : chunked'], chunked],
  ['a tab before the colon', [`Content-Length\t: ${body.length}`], body],
  ['a name with a NUL', [`Content\0-Length: ${body.length}`], body],
  ['a value with a NUL', [`Content-Length: ${body.length}`, 'X-A: a\0b'], body],
  ['a bare CR in a value', [`Content-Length: ${body.length}`, 'X-A: a\rTransfer-Encoding: chunked'], body],
  ['a bare LF that hides a header', [`Content-Length: ${body.length}`, 'X-A: a\n\nGET / HTTP/1.1'], body],
  ['a chunk size that is none', ['Transfer-Encoding: chunked'], `zz\r\n${body}\r\n0\r\n\r\n`],
  ['a signed chunk size', ['Transfer-Encoding: chunked'], `+${chunked}`],
  ['a chunk size of 2^64', ['Transfer-Encoding: chunked'], `10000000000000000\r\n${body}\r\n0\r\n\r\n`],
  ['a chunk that is longer than it says', ['Transfer-Encoding: chunked'], `4\r\n${body}\r\n0\r\n\r\n`],
  ['a chunk ended by LF alone', ['Transfer-Encoding: chunked'], `${body.length.toString(16)}\n${body}\n0\n\n`],
  ['a space before the chunk size', ['Transfer-Encoding: chunked'], ` ${chunked}`],
]

async function exchange(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  let answer = ''
  socket.setEncoding('latin1').on('data', piece => {
    answer += piece
  })
  socket.on('error', () => undefined)
  // Half a connection is none to the server, so the end is asked for in words.
  socket.write(text, 'latin1')
  await once(socket, 'close')
  return answer
}

const statuses = (answer: string) => [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))

test('T33: what two readers of HTTP could read differently is refused, and reaches no runtime', async () => {
  const {plane, key, runtime} = await inferenceWorld()
  const head = [
    `POST ${chatPath} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${key}`,
    'Content-Type: application/json',
    'Connection: close',
  ]

  const plain = await exchange(plane.url, `${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`)
  expect(statuses(plain)).toEqual([200])
  const inChunks = await exchange(
    plane.url,
    `${[...head, 'Transfer-Encoding: chunked'].join('\r\n')}\r\n\r\n${chunked}`,
  )
  expect(statuses(inChunks)).toEqual([200])
  expect(runtime.asked()).toHaveLength(2)

  for (const [what, lines, rest] of corpus) {
    const answer = await exchange(plane.url, `${[...head, ...lines].join('\r\n')}\r\n\r\n${rest}`)
    expect([what, statuses(answer)]).toEqual([what, [400]])
    expect([what, runtime.asked().length]).toEqual([what, 2])
  }
  expect(runtime.seen.some(({headers}) => 'x-smuggled' in headers)).toBe(false)
})

test('T33: no prompt, answer or key stands in the log, whatever happens to the call', async () => {
  const {plane, key, client, runtime} = await inferenceWorld()
  const canary = 'canary-4711'
  const asking = {...chat, messages: [{role: 'user' as const, content: canary}]}
  const post = (fields: Record<string, unknown>) =>
    plane.call('POST', chatPath, {token: key, ...fields}).catch(() => undefined)

  await client.chat.completions.create(asking)
  for await (const _ of await client.chat.completions.create({...asking, stream: true}));
  runtime.fail({status: 500, body: JSON.stringify({error: {message: `cannot do ${canary}`}})})
  await post({body: asking})
  runtime.fail('reset')
  await post({body: asking})
  await post({raw: `{"model":"m","messages":"${canary}`})
  await post({raw: canary, headers: {'content-type': 'text/plain'}})
  await post({raw: `--b\r\n${canary}`, headers: {'content-type': 'multipart/form-data; boundary=b'}})
  await plane.call('POST', `${chatPath}?prompt=${canary}`, {body: asking, token: key})
  await plane.call('POST', chatPath, {body: asking, token: `${key}x`})

  expect(runtime.faultsLeft()).toBe(0)
  expect(plane.log()).toContain(chatPath)
  for (const secret of [canary, key, 'Hello.']) expect(plane.log()).not.toContain(secret)
})
