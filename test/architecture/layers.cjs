// The arrows of the house: which room may import from which. Read by layers.test.ts, enforced by dependency-cruiser.
// `import type` counts in `rules` and not in `loads`. A room that is not in the table may import nothing of ours, and nobody may import it.

/** Room → the rooms that it may import from (its own files always). */
const layers = {
  platform: [],
  contract: [],
  domain: ['contract'],
  client: ['contract'],
  cli: ['client', 'contract'],
  commands: ['cli', 'client', 'contract'],
  dashboard: ['client', 'contract'],
  store: ['domain', 'contract', 'platform'],
  server: ['domain', 'contract', 'platform'],
  controllers: ['domain', 'contract', 'platform'],
  gateway: ['domain', 'contract', 'platform'],
  link: ['contract', 'platform'],
  runtime: ['contract', 'platform'],
  storage: ['contract', 'platform'],
  metrics: ['contract', 'platform'],
  agent: ['link', 'runtime', 'storage', 'metrics', 'client', 'contract', 'platform'],
}
/** The composition roots join everything; only these commands reach them, and only by `await import()`. */
const starters =
  '^src/commands/(up|down|support/bundle|server/(start|stop|status|logs|doctor|install|uninstall|backup|restore|init|restart|user-reset-password|migrate)|agent/(start|stop|status|logs|doctor|install|uninstall|reset))\\.ts$'

/** What the domain would need for input and output. */
const inputAndOutput =
  '^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster|os|process)(/|$)'

const arrows = Object.entries(layers).map(([from, to]) => ({
  name: `${from} → ${to.join(', ') || 'nothing'}`,
  severity: 'error',
  from: {path: `^src/${from}/`, pathNot: starters},
  to: {path: '^src/', pathNot: [`^src/(${[from, ...to].join('|')})/`, '^src/[^/]+\\.d\\.ts$']},
}))

const rules = [
  ...arrows,
  {
    name: 'every room has a row in the table',
    severity: 'error',
    from: {path: '^src/', pathNot: [`^src/(${[...Object.keys(layers), 'main'].join('|')})/`, '^src/[^/]+\\.d\\.ts$']},
    to: {path: '^src/'},
  },
  {
    name: 'start commands reach main and what commands may reach, nothing else',
    severity: 'error',
    from: {path: starters},
    to: {path: '^src/', pathNot: `^src/(${['main', 'commands', ...layers.commands].join('|')})/`},
  },
  {
    name: 'no circles, type imports included',
    severity: 'error',
    from: {},
    to: {circular: true},
  },
  {
    name: 'no dialect imports another',
    severity: 'error',
    from: {path: '^src/server/dialects/([^/]+)/'},
    to: {path: '^src/server/dialects/[^/]+/', pathNot: '^src/server/dialects/$1/'},
  },
  {
    name: 'the domain uses no library',
    severity: 'error',
    from: {path: '^src/domain/'},
    to: {path: 'node_modules/'},
  },
  {
    name: 'the domain does no input or output',
    severity: 'error',
    from: {path: '^src/domain/'},
    to: {path: inputAndOutput, dependencyTypes: ['core']},
  },
  {
    name: 'every import leads somewhere',
    severity: 'error',
    from: {},
    to: {couldNotResolve: true},
  },
]

/** Loaded by `await import()` where it is used, or not at all, in the rooms that every start of the CLI loads. */
const heavy =
  'ky|chalk|cli-table3|inquirer|@inquirer|ssh2|eventsource|ora|log-update|yaml|jq-web|keytar|@napi-rs|ws|' +
  'fastify|@fastify|typebox|kysely|pg|@photostructure|dockerode|pino|prom-client|fast-jwt|@node-rs'

/**
 * What may not be *loaded*: the imports that are left when the types are gone. `forbidden` is matched against a path in
 * src/ or the name of a library; with `dynamicToo` an `await import()` is no way round it.
 */
const loads = [
  {
    name: 'start commands load main by await import()',
    from: starters,
    forbidden: '^src/main/',
  },
  {
    name: 'the domain takes types from the contract; code only from its tables of errors, its frames and the order of versions',
    from: '^src/domain/',
    forbidden: '^src/contract/(?!(error-kinds|frames|version)\\.ts$)',
    dynamicToo: true,
  },
  {
    name: 'the CLI loads no heavy library statically',
    from: '^src/(commands|cli|client)/',
    forbidden: `^(${heavy})(/|$)`,
  },
  {
    name: 'the CLI takes types from the contract; code only from the files that import no library',
    from: '^src/(commands|cli|client)/',
    forbidden: '^src/contract/(?!(routes|error-kinds|frames|tar)\\.ts$)',
  },
]

module.exports = {layers, rules, loads}
