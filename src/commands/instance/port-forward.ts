import {Args, Flags} from '@oclif/core'
import {usageError} from '../../cli/failure.ts'
import {type Forwarding, listenForward, readPortPair} from '../../cli/port-forward.ts'
import {StreamCommand} from '../../cli/stream-command.ts'

export default class InstancePortForward extends StreamCommand {
  static override summary = 'Carry local ports to ports inside an instance, until Ctrl-C.'
  static override description =
    'Also ports that listen only on 127.0.0.1 in the instance. New connections wait for a server that restarts.'
  static override examples = [
    '<%= config.bin %> instance port-forward notebook 8888',
    '<%= config.bin %> instance port-forward train 16006:6006 :8080',
  ]
  static override strict = false
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    ports: Args.string({description: 'REMOTE or LOCAL:REMOTE; several; LOCAL empty is a free one', required: true}),
  }
  static override flags = {
    address: Flags.string({description: 'local address to listen at', default: '127.0.0.1'}),
  }

  async run(): Promise<undefined> {
    const {args, flags, argv} = await this.parse(InstancePortForward)
    const pairs = (argv as string[]).slice(1).map(readPortPair)
    const client = this.client(flags)
    const {id, name, status} = await client.call('instances.get', {id: args.instance})
    if (status !== 'running') throw usageError(`Instance ${name} is ${status}, not running.`)
    const forwarding: Omit<Forwarding, 'pair' | 'signal'> = {
      ...{client, instance: id, address: flags.address},
      notice: text => this.notice(text),
    }
    await this.untilInterrupted(async interrupted => {
      const stop = new AbortController() // also when one of the ports is taken
      const signal = AbortSignal.any([interrupted, stop.signal])
      try {
        const ended: Promise<void>[] = []
        for (const pair of pairs) {
          const {port, closed} = await listenForward({...forwarding, pair, signal})
          ended.push(closed)
          const local = `${flags.address.includes(':') ? `[${flags.address}]` : flags.address}:${port}`
          await this.emit({local, port, remotePort: pair.remote}, () => `${local} → ${name}:${pair.remote}`)
        }
        this.hint('Ctrl-C ends it.')
        await Promise.all(ended)
      } finally {
        stop.abort()
      }
    })
    return undefined
  }
}
