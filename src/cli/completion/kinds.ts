/** Things whose names are asked of the server, or of the settings. */
export const kinds = [
  'backup',
  'claim',
  'context',
  'image',
  'instance',
  'join-token',
  'key',
  'model',
  'node',
  'os-image',
  'pool',
  'preference',
  'runtime',
  'session',
  'setting',
  'site',
  'spec',
  'target',
  'task',
  'token',
  'user',
  'waiting',
] as const
export type Kind = (typeof kinds)[number]

/** Commands whose argument is called otherwise than what it names: `command argument` → kind. */
const special: Readonly<Record<string, Kind>> = {
  'config:get name': 'preference',
  'config:set name': 'preference',
  'config:unset name': 'preference',
  'context:delete name': 'context',
  'context:export name': 'context',
  'context:get name': 'context',
  'context:rename name': 'context',
  'context:use name': 'context',
  'image:delete-file file': 'os-image',
  'image:template file': 'os-image',
  'node:approve node': 'waiting',
  'node:join-token:revoke token': 'join-token',
  'node:reject node': 'waiting',
  'server:config:get name': 'setting',
  'server:config:set name': 'setting',
}
const flagKinds: Readonly<Record<string, Kind>> = {owner: 'user', to: 'target'}

/** What an argument of a command names; undefined where nothing is known. */
export function kindOfArgument(command: string, argument: string): Kind | undefined {
  return special[`${command} ${argument}`] ?? kinds.find(kind => kind === argument)
}

export function kindOfFlag(flag: string): Kind | undefined {
  return flagKinds[flag] ?? kinds.find(kind => kind === flag)
}
