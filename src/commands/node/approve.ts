import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {GlobalFlags} from '../../cli/global-flags.ts'
import {gpuSummary, span} from '../../cli/output/figures.ts'
import {readGigabytes} from '../../cli/site-listings.ts'
import {canAsk} from '../../cli/terminal.ts'
import {labelFlag, readPairs} from '../../cli/units.ts'
import {waitFor} from '../../cli/wait.ts'
import type {Client} from '../../client/client.ts'
import type {InputOf} from '../../contract/contract.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

/** Five characters of the code's alphabet, in any case, with spaces and dashes: a typed code is the consent. */
const typedCode = /^[ -]*([A-HJKMNP-Z2-9][ -]*){5}$/i

type Approval = GlobalFlags & {wait: boolean}
type Wish = Omit<InputOf<'nodes.approve'>, 'node'>

export default class NodeApprove extends ChangeCommand {
  static override summary = 'Admit a waiting node by its code, id or name.'
  static override description =
    'A typed code asks nothing: whoever types it has seen it on the machine. By id or name, and with --all, it shows who waits, and asks first; with --all it admits just those. It prints whom it admitted.'
  static override examples = [
    '<%= config.bin %> node approve XK7M2',
    '<%= config.bin %> node approve XK7M2 --expect-host gpu-03 --wait',
    '<%= config.bin %> node approve XK7M2 -o json',
    '<%= config.bin %> node approve --all --yes --quota 200GB',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'code, id or name; may be repeated'})}
  static override flags = {
    label: labelFlag,
    quota: Flags.string({
      description: 'what its sites may use of its storage, as 200GB; 0 unless given',
      helpValue: '<size>',
    }),
    'expect-host': Flags.string({description: 'refuse when another host is behind the code', helpValue: '<hostname>'}),
    all: Flags.boolean({description: 'all that are waiting', exclusive: ['expect-host']}),
    wait: Flags.boolean({description: 'until the node is online', allowNo: true}),
  }

  async run(): Promise<Several<Node>> {
    const {argv, flags} = await this.parse(NodeApprove)
    if (argv.length > 0 === flags.all) throw usageError('Which nodes?', 'Give their codes, ids or names, or --all.')
    const wish = {
      expectHost: flags['expect-host'],
      labels: readPairs(flags.label, '--label'),
      storageQuotaGb: flags.quota === undefined ? undefined : readGigabytes(flags.quota, '--quota'),
    }
    const client = this.client(flags)
    if (!flags.all) return this.each(argv, reference => this.#admit(reference, wish, client, flags))
    const waiting = await client.call('nodes.list', {pending: true})
    if (waiting.length === 0) this.say('No machine is waiting.')
    else await this.#askForAll(waiting, flags)
    const admitted = await this.each(
      waiting.map(({id}) => id),
      id =>
        this.#approve(
          id,
          wish,
          waiting.find(node => node.id === id),
          client,
          flags,
        ),
    )
    return [admitted].flat() as Several<Node>
  }

  async #admit(reference: string, wish: Wish, client: Client, flags: Approval): Promise<Node> {
    const seen = typedCode.test(reference) ? undefined : await this.#ask(reference, client, flags)
    return this.#approve(reference, wish, seen, client, flags)
  }

  async #approve(
    reference: string,
    wish: Wish,
    seen: Node | undefined,
    client: Client,
    flags: Approval,
  ): Promise<Node> {
    const admitted = await client.call('nodes.approve', {node: seen?.id ?? reference, ...wish})
    const node = flags.wait
      ? await this.#online(admitted, flags.timeout, () => client.call('nodes.get', {id: admitted.id}))
      : admitted
    this.#tell(node, seen !== undefined)
    return node
  }

  async #askForAll(waiting: readonly Node[], flags: GlobalFlags): Promise<void> {
    for (const node of waiting)
      this.notice(`${nameOf(node)} waits at ${addressesOf(node)}.\n${describe(node).join('\n')}`)
    const words = waiting.length === 1 ? 'this machine' : `these ${waiting.length} machines`
    await this.consent(`Admit ${words} to the fleet?`, flags)
  }

  /** A name alone says little of a machine: a person is shown who waits, and admits just that one. */
  async #ask(reference: string, client: Client, flags: GlobalFlags): Promise<Node | undefined> {
    const isAsked = this.calls === 'made' && !this.hasConsent(flags) && this.mode.mayAsk && canAsk()
    const node = isAsked ? await client.call('nodes.get', {id: reference}) : undefined
    if (node) this.notice(`${nameOf(node)} waits at ${addressesOf(node)}.\n${describe(node).join('\n')}`)
    await this.consent(`Admit ${node ? nameOf(node) : reference} to the fleet?`, flags)
    return node
  }

  #tell(node: Node, isShown: boolean): void {
    const end = node.status === 'online' ? '; it is online.' : '.'
    this.say(`Approved ${nameOf(node)} from ${addressesOf(node)}${end}`, node)
    if (!this.mode.quiet && this.mode.format === undefined && !isShown) this.log(describe(node).join('\n'))
    this.hint(`Next: gpuctl node get ${node.name}  ·  gpuctl claim submit --image IMAGE --gpus 1 --wait`)
  }

  #online(node: Node, timeoutMs: number | undefined, look: () => Promise<Node>): Promise<Node> {
    return waitFor<Node>({
      look,
      isDone: ({status}) => status === 'online',
      describe: ({name, status}) => `Waiting for ${name}: ${status}`,
      goOn: `gpuctl wait node/${node.name} --for online`,
      timeoutMs: timeoutMs ?? 5 * 60_000,
      quiet: this.mode.quiet,
    })
  }
}

function nameOf({name, hostname}: Node): string {
  return name || hostname
}

/** Where it was seen to be, and where it says that it is. */
function addressesOf({address, claimedAddress}: Node): string {
  return [address, claimedAddress && `says ${claimedAddress}`].filter(Boolean).join(', ') || 'an unknown address'
}

function describe({gpus, gpuSummary: summary, createdAt, fingerprint}: Node): string[] {
  return [
    `  GPUs         ${gpuSummary(gpus) || summary || 'none reported'}`,
    `  Asked        ${span(Date.now() - Date.parse(createdAt))} ago`,
    `  Fingerprint  ${fingerprint || 'none'}`,
  ]
}
