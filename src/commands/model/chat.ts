import {Args, Flags} from '@oclif/core'
import {isMachine} from '../../cli/global-flags.ts'
import {LogWriter} from '../../cli/log-writer.ts'
import {ask, readStdin} from '../../cli/prompt.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import {isTerminal} from '../../cli/terminal.ts'
import type {ChatMessage} from '../../client/chat.ts'
import {readText} from '../../client/transport.ts'

export default class ModelChat extends StreamCommand {
  static override summary = 'Ask a model one thing; the answer is printed as it comes.'
  static override description =
    'The question is the argument, or standard input. Ctrl-C stops the model too. With -o json the whole answer of the API is printed when it is there.'
  static override examples = [
    '<%= config.bin %> model chat gpt-oss-20b "What is a GPU?"',
    'git diff | <%= config.bin %> model chat gpt-oss-20b --system "Review this change."',
  ]
  static override args = {
    model: Args.string({description: 'name of the model', required: true}),
    prompt: Args.string({description: 'what to ask; standard input unless given'}),
  }
  static override flags = {system: Flags.string({description: 'how the model should behave', helpValue: '<text>'})}

  async run(): Promise<unknown> {
    const {args, flags} = await this.parse(ModelChat)
    const messages: ChatMessage[] = [
      ...(flags.system === undefined ? [] : [{role: 'system', content: flags.system} as const]),
      {role: 'user', content: args.prompt ?? (await this.#readPrompt())},
    ]
    const client = this.client(flags)
    const {chatPath, chatTimeoutMs, streamChat} = await import('../../client/chat.ts')
    return this.untilInterrupted(async signal => {
      const chat = {model: args.model, messages}
      if (isMachine(this.mode.format)) {
        const body = JSON.stringify(chat)
        const answer = await client.open({method: 'POST', path: chatPath, body, signal, timeoutMs: chatTimeoutMs})
        return JSON.parse(await readText(await client.target(), answer))
      }
      const writer = new LogWriter({format: this.mode.format, raw: false})
      for await (const words of streamChat(client, chat, signal)) await writer.text('stdout', words)
      await writer.text('stdout', '\n')
      return undefined
    })
  }

  #readPrompt(): Promise<string> {
    if (!isTerminal(process.stdin)) return readStdin()
    return ask({kind: 'input', message: 'Prompt', instead: 'PROMPT', mayAsk: this.mode.mayAsk})
  }
}
