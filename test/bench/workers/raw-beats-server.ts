import {createHash} from 'node:crypto'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {Compile} from 'typebox/schema'
import {Beat} from '../../../src/contract/schemas/nodes.ts'
import {serveJobs} from '../worker-process.ts'

export interface RawBeatsJob {
  keys: string[]
}

const maxBodyBytes = 1024 * 1024

/**
 * What a beat costs at least: plain node:http with the checks that ours makes – the key's hash is known, the body has a
 * limit and fits the contract's schema, the beat is newer than the last one – and the beat kept in memory.
 */
serveJobs<RawBeatsJob, {port: number}>(async ({keys}) => {
  const nodes = new Map(keys.map(key => [hash(key), {sequence: 0, bootId: '', beat: undefined as unknown, atMs: 0}]))
  const check = Compile(Beat)
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > maxBodyBytes) request.destroy()
      else pieces.push(piece)
    })
    request.once('end', () => {
      const answer = (status: number, text: string) =>
        response.writeHead(status, {'content-type': 'application/json', 'content-length': text.length}).end(text)
      const node = nodes.get(hash((request.headers.authorization ?? '').slice('Bearer '.length)))
      if (!node) return answer(401, '{}')
      const beat = JSON.parse(Buffer.concat(pieces).toString()) as Beat
      if (!check.Check(beat)) return answer(400, '{}')
      if (beat.bootId !== node.bootId || beat.sequence > node.sequence) {
        Object.assign(node, {sequence: beat.sequence, bootId: beat.bootId, beat, atMs: Date.now()})
      }
      answer(200, '{"done":true}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {port: (server.address() as AddressInfo).port}
})

function hash(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
