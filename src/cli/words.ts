export interface FlagShape {
  type: string
  char?: string
}
/** Command id (`node:join-token:create`) → its flags, the global ones among them. */
export type CommandShapes = Pick<ReadonlyMap<string, Readonly<Record<string, FlagShape>>>, 'get' | 'has' | 'keys'>

/** Other names of a topic → its own. A closed list: nothing is guessed. */
export const topicWords: Record<string, string> = names({
  node: ['nodes', 'no', 'computenode', 'computenodes'],
  instance: ['instances', 'inst', 'i', 'container', 'containers'],
  claim: ['claims', 'gpuclaim', 'gpuclaims', 'gpu-claim', 'gpu-claims'],
  gpu: ['gpus'],
  image: ['images', 'imageregistry'],
  spec: ['specs', 'product', 'products'],
  site: ['sites'],
  backup: ['backups'],
  user: ['users'],
  quota: ['quotas'],
  token: ['tokens'],
  event: ['events'],
  context: ['contexts', 'ctx', 'profile'],
  'join-token': ['join-tokens'],
  runtime: ['runtimes'],
  model: ['models'],
  server: ['servers'],
  agent: ['agents'],
  task: ['tasks', 'operation', 'operations', 'op'],
  key: ['keys'],
  pool: ['pools'],
  session: ['sessions'],
})

/** Verbs that mean the same; whichever of a group a topic has is meant. The first is the usual one. */
export const verbGroups: readonly (readonly string[])[] = [
  ['list', 'ls'],
  ['get', 'show', 'info', 'describe'],
  ['delete', 'rm', 'remove', 'del', 'destroy'],
  ['create', 'add', 'new'],
  ['update', 'set', 'edit'],
]

/** Short ways from the root. */
export const shortcuts: Record<string, readonly string[]> = {
  ps: ['instance', 'list'],
  logs: ['instance', 'logs'],
  exec: ['instance', 'exec'],
  cp: ['instance', 'cp'],
  ssh: ['instance', 'ssh'],
  'port-forward': ['instance', 'port-forward'],
  submit: ['claim', 'submit'],
  approve: ['node', 'approve'],
}

/** Shorter ways to a command within a topic, for who types what is meant: the topic's own commands come first. */
export const commandWords: Record<string, string> = {
  'instance:snapshot': 'instance:snapshot:create',
  'instance:restore': 'instance:snapshot:restore',
}

/** Topics within a topic that are reached from the root. */
export const topicShortcuts: Record<string, readonly string[]> = Object.fromEntries(
  ['pool', 'pools', 'storage-pool', 'storage-pools'].map(word => [word, ['storage', 'pool']]),
)

/** Commands behind whose first argument everything belongs to a program elsewhere. */
export const passThrough: ReadonlySet<string> = new Set(['instance:exec', 'instance:ssh'])

/** Commands that work on this machine alone: there is no call of theirs to be shown. */
export function callsNoServer(id: string): boolean {
  return /^(up|down|commands|completion|doctor|help|open|support:.*|(agent|context|config):.*|server:(?!config:).*)$/.test(
    id,
  )
}

function names(groups: Record<string, string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).flatMap(([topic, others]) => others.map(other => [other, topic])))
}
