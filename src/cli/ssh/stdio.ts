import {once} from 'node:events'
import {connect} from 'node:net'
import {pipeline} from 'node:stream/promises'
import type {Client} from '../../client/client.ts'
import {encodeControl, encodeFrame, frameKind} from '../../contract/frames.ts'
import {write} from '../output/machine.ts'
import {answers, type SshWay} from './jump-host.ts'

/** Joins our standard input and output with the jump host: by itself where it answers, else through the API's own port. */
export async function joinStdio(client: Client, way: SshWay): Promise<void> {
  if (await answers(way)) await joinSocket(way)
  else await joinTunnel(client)
}

async function joinSocket({host, port}: SshWay): Promise<void> {
  const socket = connect({host, port, noDelay: true})
  await once(socket, 'connect')
  const up = pipeline(process.stdin, socket).catch(() => {}) // the other direction says why
  await pipeline(socket, process.stdout, {end: false})
  process.stdin.destroy()
  await up
}

async function joinTunnel(client: Client): Promise<void> {
  const tunnel = await client.terminal('ssh.tunnel', {})
  const up = async () => {
    for await (const piece of process.stdin as AsyncIterable<Buffer>)
      await tunnel.send(encodeFrame(frameKind.stdin, piece))
    await tunnel.send(encodeControl({eof: true}))
  }
  up().catch(() => tunnel.close())
  try {
    for await (const {kind, payload} of tunnel.frames)
      if (kind === frameKind.stdout) await write(process.stdout, payload)
  } finally {
    process.stdin.destroy()
    tunnel.close()
  }
}
