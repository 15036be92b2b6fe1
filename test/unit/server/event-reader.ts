import {once} from 'node:events'
import {type ClientRequest, type IncomingMessage, request} from 'node:http'
import {eventually} from '../../support/wait.ts'

export interface Received {
  id?: string
  event?: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of all shapes
  data: any
}

/** A reader of one event stream that keeps everything it got. */
export class EventReader {
  text = ''
  ended = false
  readonly response: IncomingMessage
  readonly #request: ClientRequest

  private constructor(asked: ClientRequest, response: IncomingMessage) {
    this.#request = asked
    this.response = response
    response.setEncoding('utf8')
    response.on('data', piece => {
      this.text += piece
    })
    response.once('error', () => {})
    response.once('close', () => {
      this.ended = true
    })
  }

  static async open(port: number, path: string, headers: Record<string, string>): Promise<EventReader> {
    const asked = request({port, host: '127.0.0.1', path, headers, agent: false}).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return new EventReader(asked, response)
  }

  get events(): Received[] {
    const whole = this.text.slice(0, this.text.lastIndexOf('\n\n') + 2)
    return whole.split('\n\n').flatMap(block => {
      const fields = Object.fromEntries(
        block
          .split('\n')
          .filter(line => !line.startsWith(':'))
          .map(line => /^(\w+): (.*)$/s.exec(line)?.slice(1) ?? []),
      ) as Record<string, string>
      return fields.data === undefined ? [] : [{...fields, data: JSON.parse(fields.data)}]
    })
  }

  async atLeast(count: number): Promise<Received[]> {
    return eventually(() => (this.events.length >= count ? this.events : undefined), {what: `${count} events`})
  }

  async end(): Promise<void> {
    await eventually(() => this.ended, {what: 'the end of the stream'})
  }

  leave(): void {
    this.#request.destroy()
  }
}
