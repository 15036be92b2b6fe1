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

test('T33: calls that come in one go get whole answers, each in its place', async () => {
  const {plane, key, runtime} = await inferenceWorld([{pieces: 40, pieceMs: 2}])
  const streamed = JSON.stringify({...chat, stream: true})
  const head = [`POST ${chatPath} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${key}`]
  const call = (text: string, ...more: string[]) =>
    `${[...head, 'Content-Type: application/json', `Content-Length: ${text.length}`, ...more].join('\r\n')}\r\n\r\n${text}`

  const answer = await exchange(plane.url, call(streamed) + call(streamed) + call(body, 'Connection: close'))
  const [, ...bodies] = answer.split(/^HTTP\/1\.1 200 OK\r\n[\s\S]*?\r\n\r\n/m)
  expect(bodies).toHaveLength(3)
  const [first = '', second = '', whole = ''] = bodies.map(unchunked)
  for (const text of [first, second]) {
    expect(text.match(/"delta"/g)).toHaveLength(40)
    expect(text).toMatch(/data: \[DONE\]\n\n$/)
  }
  expect(JSON.parse(whole)).toMatchObject({object: 'chat.completion'})
  expect(runtime.asked()).toHaveLength(3)
})

/** Throws where it is no chunked body (RFC 9112, 7.1), or where something follows it. */
function unchunked(text: string): string {
  let [whole, at] = ['', 0]
  for (;;) {
    const [line = '', size = ''] = /^([0-9a-f]+)\r\n/.exec(text.slice(at)) ?? []
    const from = at + line.length
    const end = from + Number.parseInt(size, 16)
    if (!line || text.slice(end, end + 2) !== '\r\n') throw new Error(`No chunk: ${text.slice(at, at + 80)}`)
    at = end + 2
    if (end === from) break
    whole += text.slice(from, end)
  }
  if (at !== text.length) throw new Error(`After the end: ${text.slice(at, at + 80)}`)
  return whole
}

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
