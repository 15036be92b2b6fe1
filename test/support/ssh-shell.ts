import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import ssh2, {type ClientChannel} from 'ssh2'
import {onTestFinished} from 'vitest'
import type {SshClient} from './ssh-client.ts'
import {eventually} from './wait.ts'

/** A person in a shell with a terminal of that size, over a connection of its own. */
export async function openTerminal(client: SshClient, login: string, size = {rows: 31, cols: 99}) {
  const connection = new ssh2.Client()
  onTestFinished(() => void connection.destroy())
  const privateKey = await readFile(join(client.folder, 'id'))
  await new Promise<void>((resolve, reject) => {
    connection.once('ready', resolve).once('error', reject)
    connection.connect({host: '127.0.0.1', port: client.port, username: login, privateKey})
  })
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    connection.shell({...size, term: 'xterm'}, (error, made) => (error ? reject(error) : resolve(made)))
  })
  let seen = ''
  for (const stream of [channel, channel.stderr]) stream.on('data', (piece: Buffer) => (seen += piece.toString()))
  let code: number | null | undefined
  channel.on('exit', (given: number | null) => {
    code = given
  })
  const closed = new Promise<void>(resolve => channel.once('close', () => resolve()))
  return {
    connection,
    channel,
    closed,
    seen: () => seen,
    code: () => code,
    type: (text: string) => channel.write(text),
    /** All that came since, up to that text. */
    async until(text: string | RegExp, withinMs = 10_000): Promise<string> {
      const at = await eventually(
        () => {
          const found = typeof text === 'string' ? seen.indexOf(text) : seen.search(text)
          return found < 0 ? undefined : {found}
        },
        {withinMs, what: `${text} in ${JSON.stringify(seen)}`},
      ).catch(error => {
        throw new Error(`${error.message}; the terminal shows ${JSON.stringify(seen)}`)
      })
      const before = seen.slice(0, at.found)
      seen = seen.slice(at.found)
      return before
    },
  }
}
