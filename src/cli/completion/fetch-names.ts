import type {Client} from '../../client/client.ts'
import {preferences} from '../preferences.ts'
import type {Settings} from '../settings.ts'
import type {Candidate} from './candidates.ts'
import type {Kind} from './kinds.ts'

type Fetch = (client: Client, settings: Settings) => Candidate[] | Promise<Candidate[]>

const named =
  <T>(word: (one: T) => string, about: (one: T) => string | null | undefined = () => '') =>
  (all: T[]): Candidate[] =>
    all.map(one => ({word: word(one), about: about(one) ?? ''}))

const sources: Readonly<Record<Kind, Fetch>> = {
  backup: async client =>
    named<{id: string; filename: string}>(
      ({id}) => id,
      ({filename}) => filename,
    )(await client.call('backups.list', {})),
  claim: async client =>
    (await client.call('claims.list', {})).map(({name, status}) => ({word: name, about: status.phase})),
  context: (_, {contexts}) => Object.values(contexts).map(({name, server}) => ({word: name, about: server})),
  image: async client => (await client.call('images.list', {})).map(({name}) => ({word: name, about: ''})),
  instance: async client =>
    (await client.call('instances.list', {})).map(({name, status}) => ({word: name, about: status})),
  'join-token': async client => (await client.call('joinTokens.list', {})).map(({name}) => ({word: name, about: ''})),
  key: async client =>
    (await client.call('keys.list', {})).map(({name, fingerprint}) => ({word: name, about: fingerprint})),
  model: async client => (await client.call('models.list', {})).map(({id}) => ({word: id, about: ''})),
  node: async client =>
    (await client.call('nodes.list', {})).map(({name, hostname, status}) => ({word: name || hostname, about: status})),
  'os-image': async client => (await client.call('osImages.list', {})).map(({file}) => ({word: file, about: ''})),
  pool: async client => (await client.call('pools.list', {})).map(({name, node}) => ({word: name, about: node})),
  preference: () => Object.entries(preferences).map(([word, {description}]) => ({word, about: description})),
  runtime: async client =>
    (await client.call('runtimes.list', {})).map(({name, status}) => ({word: name, about: status})),
  session: async client => (await client.call('sessions.list', {})).map(({id, kind}) => ({word: id, about: kind})),
  setting: async client =>
    (await client.call('settings.list', {})).map(({name, value}) => ({word: name, about: String(value)})),
  site: async client => (await client.call('sites.list', {})).map(({name, node}) => ({word: name, about: node})),
  spec: async client => (await client.call('specs.list', {})).map(({name}) => ({word: name, about: ''})),
  target: async client => (await client.call('backupTargets.list', {})).map(({name}) => ({word: name, about: ''})),
  task: async client =>
    (await client.call('tasks.list', {})).map(({number, type, object}) => ({
      word: String(number),
      about: `${type} ${object}`,
    })),
  token: async client => (await client.call('tokens.list', {})).map(({name}) => ({word: name, about: ''})),
  user: async client =>
    (await client.call('users.list', {})).map(({username, role}) => ({word: username, about: role})),
  waiting: async client =>
    (await client.call('nodes.list', {})).flatMap(({code, hostname}) => (code ? [{word: code, about: hostname}] : [])),
}

/** The names of a kind as the server, or the settings, know them now. */
export async function fetchNames(kind: Kind, client: Client, settings: Settings): Promise<Candidate[]> {
  return sources[kind](client, settings)
}
