import {setTimeout as delay} from 'node:timers/promises'
import type {ServerChannel} from 'ssh2'
import type {Instance} from '../../contract/schemas/instances.ts'
import {safe} from '../../platform/terminal-text.ts'

const mostTyped = 20
const key = {interrupt: '\x03', end: '\x04', backspace: '\x7f', erase: '\b'}

interface MenuOptions {
  instances: readonly Instance[]
  waitMs: number
  emptyMs: number
}

/**
 * The list of wire.md 3.7: `<index>  <name>-<12-char id>-<node name>`, index from 0. Undefined: the person quits, or
 * there is nothing to choose.
 */
export async function choose(
  channel: ServerChannel,
  {instances, waitMs, emptyMs}: MenuOptions,
): Promise<Instance | undefined> {
  if (instances.length === 0) {
    channel.write('You have no instance with a container. Make one with `gpuctl claim submit`.\r\n')
    await Promise.race([
      delay(emptyMs, undefined, {ref: false}),
      new Promise(resolve => channel.once('close', resolve)),
    ])
    return undefined
  }
  const lines = instances.map(
    ({name, containerId, node}, index) => `${index}  ${name}-${containerId.slice(0, 12)}-${node}`,
  )
  channel.write(`${lines.map(line => safe(line)).join('\r\n')}\r\n`)
  for (;;) {
    channel.write('Number of the instance (q quits): ')
    const typed = await readLine(channel, waitMs)
    if (typed === undefined || typed === 'q') return undefined
    const chosen = /^\d+$/.test(typed) ? instances[Number(typed)] : undefined
    if (chosen) return chosen
    if (typed !== '') channel.write(`There is no ${safe(typed)}. Type a number from 0 to ${instances.length - 1}.\r\n`)
  }
}

/** One line, echoed as it is typed. Undefined at Ctrl-C, Ctrl-D, the end of the input, or when nothing comes in time. */
function readLine(channel: ServerChannel, waitMs: number): Promise<string | undefined> {
  return new Promise(resolve => {
    let typed = ''
    const finish = (line: string | undefined, rest = '') => {
      clearTimeout(timer)
      channel.off('data', take)
      channel.off('end', quit)
      channel.off('close', quit)
      channel.pause()
      if (rest !== '') channel.unshift(Buffer.from(rest, 'latin1'))
      channel.write('\r\n')
      resolve(line)
    }
    const quit = () => finish(undefined)
    const take = (piece: Buffer) => {
      const text = piece.toString('latin1')
      for (let at = 0; at < text.length; at++) {
        const character = text[at] as string
        if (character === '\r' || character === '\n') return finish(typed.trim(), text.slice(at + 1))
        if (character === key.interrupt || character === key.end) return quit()
        if (character === key.backspace || character === key.erase) {
          if (typed !== '') channel.write('\b \b')
          typed = typed.slice(0, -1)
        } else if (character >= ' ' && character <= '~' && typed.length < mostTyped) {
          typed += character
          channel.write(character)
        }
      }
    }
    const timer = setTimeout(quit, waitMs)
    channel.on('data', take)
    channel.once('end', quit)
    channel.once('close', quit)
    channel.resume()
  })
}
