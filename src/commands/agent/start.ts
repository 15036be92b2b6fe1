import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export const agentFlags = {
  runtime: Flags.option({
    description: 'how instances run; docker where an engine answers unless given',
    options: ['docker', 'process'] as const,
  })(),
  'fake-gpus': Flags.string({description: 'simulated cards, as 2 or 2xRTX4090', helpValue: '<count[xmodel]>'}),
}

export default class AgentStart extends BaseCommand {
  static override summary = 'Run the node agent here: it shows a code, waits for its approval, and then runs work.'
  static override description =
    'Needs no open port: the agent dials the server and keeps that one connection. Once approved, the machine keeps its identity; a restart needs no new approval. With --runtime-port it looks for an inference runtime at http://127.0.0.1:PORT+1 and registers it; the server must reach it at the address from which this machine dials the server, so there the runtime has to listen. Programs on the machine read it through the local API, with the token of the file local-api-token in the agent’s folder.'
  static override examples = [
    '<%= config.bin %> agent start --server http://control:8888',
    '<%= config.bin %> agent start --server http://control:8888 --join-token-file token --detach',
    '<%= config.bin %> agent start --server http://127.0.0.1:8888 --fake-gpus 2xRTX4090',
    '<%= config.bin %> agent start --server http://control:8888 --runtime-port 32768',
    '<%= config.bin %> agent start --standalone --local-api 10.0.0.7:9200 --share-folder /data',
  ]
  static override flags = {
    ...agentFlags,
    name: Flags.string({description: 'name under which to join; the host name unless given'}),
    label: Flags.string({description: 'label of the node, KEY=VALUE; may be repeated', multiple: true}),
    'join-token-file': Flags.string({description: 'file with a join token: no code, no waiting'}),
    'runtime-port': Flags.integer({
      description:
        'an inference runtime is here whose OpenAI-compatible API listens at the next port: register it and beat for it',
      helpValue: '<port>',
      min: 1024,
      max: 65_534,
    }),
    'runtime-name': Flags.string({
      description: 'name of that runtime; the node’s unless given',
      dependsOn: ['runtime-port'],
    }),
    standalone: Flags.boolean({
      description: 'join no control server: whoever calls the local API decides what runs here',
      exclusive: ['join-token-file', 'runtime-port'],
    }),
    'local-api': Flags.string({
      description: 'where the local API listens, or `none`; 127.0.0.1:9200 unless that is taken',
      helpValue: '<host:port>',
    }),
    'share-folder': Flags.string({
      description: 'folder of this machine that containers of the local API may mount; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<folder>',
    }),
    detach: Flags.boolean({char: 'd', description: 'in the background'}),
  }

  async run(): Promise<{pid: number}> {
    const {flags} = await this.parse(AgentStart)
    const server = flags.standalone ? undefined : await this.serverUrl(flags)
    const local = {localApi: flags['local-api'], sharedFolders: flags['share-folder']}
    const labels = readLabels(flags.label ?? [])
    if (flags.detach) {
      const {startAgent} = await import('../../main/local-fleet.ts')
      const {run, started} = await startAgent({
        ...{program: this.program, server, runtime: flags.runtime, fakeGpus: flags['fake-gpus'], name: flags.name},
        ...{joinTokenFile: flags['join-token-file'], labels: flags.label},
        ...{runtimePort: flags['runtime-port'], runtimeName: flags['runtime-name']},
        ...local,
      })
      const {code = '', name = ''} = run.node ?? {}
      this.log(started ? `The agent runs (pid ${run.pid}).` : `The agent already runs (pid ${run.pid}).`)
      if (code) this.log(`It asks to join with code ${code}: gpuctl node approve ${code}`)
      else if (server) this.log(`It serves ${server} as ${name}.`)
      else this.log(`It serves its local API at ${run.node?.localApi}.`)
      return {pid: run.pid}
    }
    const {superviseAgent} = await import('../../main/agent-supervisor.ts')
    process.exitCode = await superviseAgent(
      {
        ...{
          server,
          runtime: flags.runtime,
          fakeGpus: flags['fake-gpus'],
          name: flags.name,
          labels,
          verbose: flags.verbose,
        },
        joinTokenFile: flags['join-token-file'],
        ...{runtimePort: flags['runtime-port'], runtimeName: flags['runtime-name']},
        ...local,
      },
      this.config.version,
      line => this.logToStderr(line),
    )
    return {pid: process.pid}
  }
}

function readLabels(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=')
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
